// Writes an HTTP/1.1 head line by line into one string: the only place where a field gets onto a
// wire, so the only place that must keep CR, LF and other control bytes out of one.
//
// Level 1: pure text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/config.h"

namespace streamgate {

// The reason phrase of RFC 9110 15 for a status, or "Unknown".
std::string_view reason_phrase(int status);

class HeadWriter {
 public:
  explicit HeadWriter(size_t expected_bytes) { text_.reserve(expected_bytes); }

  void request_line(std::string_view method, std::string_view path_and_query);
  void status_line(int status);

  // Adds nothing if the value could not stand in a field (RFC 9110 5.5): control bytes other than a
  // tab. An upstream may have sent such a value, and a person may have configured one.
  void field(std::string_view name, std::string_view value);
  void number(std::string_view name, uint64_t value);
  // Whole lines with their CRLF, made by us.
  void raw_lines(std::string_view lines) { text_ += lines; }

  // What every answer carries for browsers: who may read it, and which of its fields.
  void cors(const CorsConfig& cors);
  // Says how the connection goes on, where the version alone does not (RFC 9112 9.3).
  void connection(bool keep_alive, int client_minor_version);

  // The head, with the empty line that ends it.
  std::string finish() && {
    text_ += "\r\n";
    return std::move(text_);
  }

 private:
  std::string text_;
};

}  // namespace streamgate
