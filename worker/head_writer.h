// Writes an HTTP/1.1 head line by line into one string: the only place where a field gets onto a
// wire, so the only place that must keep CR, LF and other control bytes out of one.
//
// Level 1: pure text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "common/config.h"

namespace streamgate {

// The reason phrase of RFC 9110 15 for a status, or "Unknown".
std::string_view reason_phrase(int status);

// Now, as a Date field has it (RFC 9110 5.6.7). Valid until the next call.
std::string_view http_date();

class HeadWriter {
 public:
  explicit HeadWriter(size_t expected_bytes) : text_(expected_bytes, '\0') {}

  void request_line(std::string_view method, std::string_view path_and_query);
  void status_line(int status);

  // Adds nothing if the value could not stand in a field (RFC 9110 5.5): control bytes other than a
  // tab. An upstream may have sent such a value, and a person may have configured one.
  void field(std::string_view name, std::string_view value);
  void number(std::string_view name, uint64_t value);
  // Whole lines with their CRLF, made by us.
  void raw_lines(std::string_view lines) { put(lines); }

  // What every answer carries for browsers: who may read it, and which of its fields.
  void cors(const CorsConfig& cors);
  // Says how the connection goes on, where the version alone does not (RFC 9112 9.3).
  void connection(bool keep_alive, int client_minor_version);

  // The head, with the empty line that ends it.
  std::string finish() && {
    put("\r\n");
    text_.resize(used_);
    return std::move(text_);
  }

 private:
  // Inline, and not std::string::append: a head is made of some fifty short pieces.
  void put(std::string_view piece) {
    if (text_.size() - used_ < piece.size()) text_.resize(2 * (used_ + piece.size()));
    if (!piece.empty()) std::memcpy(text_.data() + used_, piece.data(), piece.size());
    used_ += piece.size();
  }

  std::string text_;  // longer than what has been written
  size_t used_ = 0;
};

}  // namespace streamgate
