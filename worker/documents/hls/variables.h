// The variables of a playlist (EXT-X-DEFINE, RFC 8216bis 4.3 and 4.4.2.3).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace streamgate {

class Variables {
 public:
  // A client chooses the values of QUERYPARAM variables. A masked text has kMask in their place.
  enum class Text { whole, masked };
  static constexpr std::string_view kMask = "x";

  void clear();
  bool empty() const { return variables_.empty(); }

  // The first definition of a name counts, as in hls.js. False if the name is not of the form
  // [A-Za-z0-9_-]+ or is defined already, after 256 variables, or if the names and values would
  // exceed 64 KiB.
  bool define(std::string_view name, std::string_view value) { return define(name, value, value); }
  bool define(std::string_view name, std::string_view value, std::string_view masked);
  // Null if the name is not defined.
  const std::string* find(std::string_view name, Text text = Text::whole) const;
  bool has_client_values() const { return has_client_values_; }

  // Whether `text` may hold a `{$name}`.
  static bool has_reference(std::string_view text) { return text.find("{$") != text.npos; }
  // `text` with each `{$name}` replaced. The values are not scanned again, and a reference to an
  // undefined variable stays. nullopt if the text would grow by more than 256 KiB.
  std::optional<std::string> substitute(std::string_view text, Text which = Text::whole) const;

  // All variables as one text, for the links of a multivariant playlist: their playlists may
  // import them. Empty if there are none. Variables beyond 4 KiB are left out.
  std::string to_list() const;
  // Any text, also one that to_list() has not made.
  static Variables from_list(std::string_view list);

 private:
  std::vector<size_t>::const_iterator place_of(std::string_view name) const;

  struct Variable {
    std::string name;
    std::string value;
    std::string masked;
  };

  // In the order of their definitions.
  std::vector<Variable> variables_;
  std::vector<size_t> by_name_;  // their indices, in the order of their names
  size_t size_ = 0;
  bool has_client_values_ = false;
};

// The parameters in the query of a URL. A playlist may look up many of them.
class QueryParameters {
 public:
  // `url` outlives the object.
  explicit QueryParameters(std::string_view url);

  // The value of the first parameter `name`, decoded once. A quote or a control byte stays encoded,
  // because the value may be put into a quoted string (RFC 8216bis 4.2). A `+` stays. nullopt if
  // there is no such parameter.
  std::optional<std::string> find(std::string_view name) const;

 private:
  // Decoded names and encoded values, in the order of the names.
  std::vector<std::pair<std::string, std::string_view>> parameters_;
};

}  // namespace streamgate
