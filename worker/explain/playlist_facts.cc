#include "worker/explain/playlist_facts.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/ascii.h"
#include "common/url.h"
#include "worker/documents/hls/attribute_list.h"

namespace streamgate {
namespace {

constexpr size_t kMaxVariants = 16;

// Takes the next line from `text`, without its end.
std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find_first_of("\r\n"), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end);
  if (text.starts_with("\r\n")) text.remove_prefix(1);
  if (!text.empty()) text.remove_prefix(1);
  return line;
}

// `#EXT-X-KEY:METHOD=..` -> `EXT-X-KEY`; empty for other lines.
std::string_view tag_name(std::string_view line) {
  if (!line.starts_with("#EXT")) return {};
  return line.substr(1, line.find(':') - 1);
}

std::string_view value_of(std::string_view line) {
  const size_t colon = line.find(':');
  return colon == line.npos ? std::string_view() : line.substr(colon + 1);
}

std::string attribute_of(std::string_view line, std::string_view name) {
  AttributeList list(value_of(line));
  for (Attribute attribute; list.next(attribute);) {
    if (attribute.name == name) return shown(attribute.value, kMaxShownBytes);
  }
  return {};
}

// A link to this proxy that a person can read: the URL in it is redacted, and so are the values of
// all other parameters.
std::string shown_link(std::string_view line) {
  const size_t url_at = line.find("?url=");
  if (url_at == line.npos) return shown(line, kMaxShownBytes);
  const size_t value_at = url_at + 5;
  const size_t value_end = std::min(line.find_first_of("&\"", value_at), line.size());
  std::string out(line.substr(0, value_at));
  percent_encode(shown(percent_decode(line.substr(value_at, value_end - value_at)), kMaxShownBytes),
                 out);
  std::string_view rest = line.substr(value_end);
  while (rest.starts_with('&')) {
    const size_t end = std::min(rest.find_first_of("&\"", 1), rest.size());
    out += rest.substr(0, std::min(rest.find('='), end));
    out += "=*";
    rest.remove_prefix(end);
  }
  if (rest.size() > 1) out += "...";
  return out;
}

class Reader {
 public:
  ExplainedPlaylist read(std::string_view text, std::string_view rewritten) {
    while (!text.empty()) {
      const std::string_view line = take_line(text);
      ++facts_.lines;
      read_line(line);
      compare(line, take_line(rewritten));
    }
    name_kind();
    return std::move(facts_);
  }

 private:
  void compare(std::string_view before, std::string_view after) {
    if (before == after) return;
    ++facts_.rewritten_lines;
    if (facts_.links.size() >= kMaxLinks) return;
    facts_.links.push_back({shown(before, kMaxShownBytes), shown_link(after)});
  }

  void read_line(std::string_view line) {
    const std::string_view name = tag_name(line);
    if (!name.empty()) return read_tag(name, line);
    if (line.empty() || line.starts_with('#')) return;
    if (variant_is_next_) {
      variant_is_next_ = false;
      if (!facts_.variants.empty() && facts_.variants.back().url.empty()) {
        facts_.variants.back().url = shown(line, kMaxShownBytes);
      }
    } else {
      ++facts_.segments;
    }
  }

  void read_tag(std::string_view name, std::string_view line) {
    if (name.starts_with("EXT-X-")) has_hls_tag_ = true;
    if (name == "EXT-X-STREAM-INF") return read_variant(line);
    if (name == "EXT-X-MEDIA") ++facts_.renditions;
    if (name == "EXT-X-TARGETDURATION") facts_.target_duration = shown(value_of(line), 16);
    if (name == "EXT-X-ENDLIST") has_end_ = true;
    if (name == "EXT-X-PLAYLIST-TYPE") type_ = value_of(line);
    if (name == "EXT-X-PART" || name == "EXT-X-PRELOAD-HINT") facts_.is_low_latency = true;
    if (name == "EXT-X-KEY" || name == "EXT-X-SESSION-KEY") read_key(line);
  }

  void read_variant(std::string_view line) {
    is_multivariant_ = variant_is_next_ = true;
    if (++facts_.variant_count > kMaxVariants) return;
    facts_.variants.push_back({{},
                               attribute_of(line, "BANDWIDTH"),
                               attribute_of(line, "RESOLUTION"),
                               attribute_of(line, "CODECS")});
  }

  void read_key(std::string_view line) {
    std::string key = attribute_of(line, "METHOD");
    const std::string format = attribute_of(line, "KEYFORMAT");
    if (!format.empty() && format != "identity") key += " (" + format + ")";
    const bool is_known =
        std::find(facts_.keys.begin(), facts_.keys.end(), key) != facts_.keys.end();
    if (key != "NONE" && !is_known && facts_.keys.size() < kMaxKeys) facts_.keys.push_back(key);
  }

  void name_kind() {
    if (is_multivariant_) {
      facts_.type = "multivariant";
    } else if (has_hls_tag_) {
      facts_.type = "media";
      const bool is_vod = has_end_ || ascii::trim(type_) == "VOD";
      facts_.window = is_vod ? "VOD" : ascii::trim(type_) == "EVENT" ? "event" : "live";
    } else {
      facts_.type = "channel list";
      facts_.channels = std::exchange(facts_.segments, 0);
    }
  }

  ExplainedPlaylist facts_;
  bool is_multivariant_ = false;
  bool has_hls_tag_ = false;
  bool has_end_ = false;
  bool variant_is_next_ = false;
  std::string_view type_;
};

}  // namespace

ExplainedPlaylist playlist_facts(std::string_view text, std::string_view rewritten,
                                 const VariantLimits& limits) {
  const bool is_limited = limits.max_height != 0 || limits.max_bandwidth != 0;
  if (!is_limited || text.find("#EXT-X-STREAM-INF") == text.npos) {
    return Reader().read(text, rewritten);
  }
  const size_t all = Reader().read(text, {}).variant_count;
  ExplainedPlaylist facts = Reader().read(filter_variants(text, limits), rewritten);
  facts.left_out = all - facts.variant_count;
  return facts;
}

}  // namespace streamgate
