// The attributes of a channel list that hold URLs.
#pragma once

#include <string>
#include <string_view>

namespace streamgate {

// `tag` is an #EXTINF or #EXTM3U line. Yields in order the URLs of tvg-logo, url-tvg, x-tvg-url and
// catchup-source. A value may be in double quotes, in single quotes or in none, and may list
// several URLs, separated by commas. The title of an #EXTINF, after the first comma outside quotes,
// has no attributes.
class ListAttributes {
 public:
  struct Url {
    std::string_view text;
    bool has_placeholders = false;  // of a catchup-source: `{utc}`, `${start}`
  };

  explicit ListAttributes(std::string_view tag);
  // False at the end; `url` is unchanged then.
  bool next(Url& url);

 private:
  bool next_attribute();

  std::string_view rest_;
  std::string_view urls_;  // of the current attribute, not yielded yet
  bool has_title_ = false;
  bool has_placeholders_ = false;
};

enum class LinkForm { query, path };

// Restores the placeholders of a link, which the player replaces: `%257Butc%257D` in the query
// form, and `%7Butc%7D` in the path form, become `{utc}`.
std::string with_raw_placeholders(std::string_view link, LinkForm form = LinkForm::query);

}  // namespace streamgate
