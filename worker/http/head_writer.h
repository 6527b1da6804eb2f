// Writes an HTTP/1.1 head line by line into one string. Every field that is sent passes here, so
// this is the only place that must keep CR, LF and other control bytes out of fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/config.h"
#include "worker/http/message.h"
#include "worker/loop/piecewise_text.h"

namespace streamgate {

// The reason phrase of RFC 9110 15 for a status, or "Unknown".
std::string_view reason_phrase(int status);

// The current time as a Date value (RFC 9110 5.6.7). Valid until the next call.
std::string_view http_date();

// The CORS configuration, and the Origin of the request that is answered (empty: none). Both
// outlive it.
struct Cors {
  Cors(const CorsConfig& config_of_all, std::string_view origin_of_request = {})
      : config(config_of_all), origin(origin_of_request) {}

  const CorsConfig& config;
  std::string_view origin;
};
// Reads the Origin only if the answer depends on it.
Cors cors_for(const CorsConfig& config, const HeaderFields& client);

class HeadWriter final : private PiecewiseText {
 public:
  explicit HeadWriter(size_t expected_bytes) : text_(expected_bytes, '\0') { continue_at(0); }

  void request_line(std::string_view method, std::string_view path_and_query);
  void status_line(int status);

  // Adds nothing if the value is not a valid field value (RFC 9110 5.5): one with control bytes
  // other than tab. Such a value can come from an upstream or from the configuration.
  void field(std::string_view name, std::string_view value);
  void number(std::string_view name, uint64_t value);
  // Whole lines with their CRLF, never with text of a client or an upstream.
  void raw_lines(std::string_view lines) { append(lines); }

  // The fields of every answer for pages of other origins: the origins that may read it, its fields
  // and its timing, and the permission for any page to embed it (Fetch standard 3.2, 3.8). None if
  // no origin is allowed: the answers of the admin listener.
  void cors(const Cors& cors);
  // Adds Connection where the version alone does not say whether the connection persists (RFC 9112
  // 9.3).
  void connection(bool keep_alive, int client_minor_version);

  // The head, with the empty line that ends it.
  std::string finish() && {
    append("\r\n");
    text_.resize(used());
    return std::move(text_);
  }

 private:
  size_t used() const { return static_cast<size_t>(end_ - text_.data()); }

  void grow(size_t more) override {
    const size_t before = used();
    text_.resize(2 * (before + more));
    continue_at(before);
  }

  void continue_at(size_t place) {
    end_ = text_.data() + place;
    limit_ = text_.data() + text_.size();
  }

  std::string text_;  // longer than the head so far
};

}  // namespace streamgate
