// Request and response heads as the parsers return them. Their views point into the parsed bytes;
// the owner of those bytes says how long they live.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/ascii.h"

namespace streamgate {

enum class Method { get, head, options, post };  // post: to the admin listener only

struct HeaderField {
  std::string_view name;   // as written; compare without case
  std::string_view value;  // without blanks at its ends; no CR, LF or NUL
};

using HeaderFields = std::vector<HeaderField>;

// The first field of that name, or nullopt.
inline std::optional<std::string_view> find_field(const HeaderFields& fields,
                                                  std::string_view name) {
  for (const HeaderField& field : fields) {
    if (ascii::iequals(field.name, name)) return field.value;
  }
  return std::nullopt;
}
inline std::string_view field_or_empty(const HeaderFields& fields, std::string_view name) {
  return find_field(fields, name).value_or(std::string_view{});
}

struct RequestHead {
  Method method = Method::get;
  std::string_view target;     // origin-form: path and query as sent; `*` only for OPTIONS
  int minor_version = 1;       // HTTP/1.x
  bool keep_alive = true;      // asked for by version and Connection
  HeaderFields fields;         // including Host; without the fields of framing
  std::string_view body = {};  // of a POST
};

// How the end of a body is marked (RFC 9112 6.3).
enum class Framing { none, length, chunked, until_close };

struct ResponseHead {
  int status = 0;  // 200..999: interim responses are swallowed
  int minor_version = 1;
  HeaderFields fields;  // all of them, hop-by-hop ones included
  Framing framing = Framing::none;
  uint64_t content_length = 0;              // Framing::length
  std::optional<uint64_t> declared_length;  // Content-Length as written, also on HEAD and 304
  bool keep_alive = true;                   // the connection may be used again after the body
};

// How the end of the body that is sent to the client is marked.
struct ClientFraming {
  enum class Kind { length, chunked, until_close, none } kind = Kind::none;
  uint64_t length = 0;
};

}  // namespace streamgate
