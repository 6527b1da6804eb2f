#include "worker/links/token_json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace streamgate {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxDepth = 64;
constexpr int64_t kMaxNumber = int64_t{1} << 53;  // sums with it do not overflow
constexpr size_t kMaxNames = 64;                  // each new name is compared with all others

// Reads the members of the outer object without building a tree. The functions take_...() return
// false for a value that the member may not have.
class ObjectReader : public nlohmann::json_sax<Json> {
 public:
  bool key(std::string& name) override {
    if (depth_ != 1) return true;
    const bool is_repeated = std::find(names_.begin(), names_.end(), name) != names_.end();
    if (is_repeated || names_.size() == kMaxNames) return false;
    names_.push_back(name);
    return true;
  }
  bool string(std::string& value) override {
    if (depth_ == 2 && in_array_) return take_item(names_.back(), value);
    return depth_ != 1 || take_string(names_.back(), value);
  }
  bool number_integer(int64_t value) override { return depth_ != 1 || number(value, value); }
  bool number_unsigned(uint64_t value) override {
    const auto bounded = static_cast<int64_t>(std::min<uint64_t>(value, kMaxNumber));
    return depth_ != 1 || number(bounded, bounded);
  }
  // NumericDate may have a fraction (RFC 7519 2).
  bool number_float(double value, const std::string&) override {
    if (depth_ != 1) return true;
    if (!std::isfinite(value) || std::abs(value) > static_cast<double>(kMaxNumber)) return false;
    return number(std::llround(std::floor(value)), std::llround(std::ceil(value)));
  }
  bool null() override { return other(); }
  bool boolean(bool) override { return other(); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override {
    if (depth_ == 1 && !take_other(names_.back(), false)) return false;
    return ++depth_ <= kMaxDepth;
  }
  bool start_array(size_t) override {
    if (depth_ == 0) return false;
    if (depth_ == 1) {
      in_array_ = true;
      if (!take_other(names_.back(), true)) return false;
    }
    return ++depth_ <= kMaxDepth;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 protected:
  virtual bool take_string(std::string_view name, std::string& value) = 0;
  // A number with a fraction is between `low` and `high`.
  virtual bool take_number(std::string_view name, int64_t low, int64_t high) = 0;
  // A string in an array.
  virtual bool take_item(std::string_view name, std::string& value) = 0;
  // A value of another type.
  virtual bool take_other(std::string_view name, bool is_array) = 0;

 private:
  bool number(int64_t low, int64_t high) {
    return take_number(names_.back(), std::clamp(low, -kMaxNumber, kMaxNumber),
                       std::clamp(high, -kMaxNumber, kMaxNumber));
  }
  bool other() {
    if (depth_ == 0) return false;
    return depth_ != 1 || take_other(names_.back(), false);
  }
  bool close() {
    --depth_;
    if (depth_ == 1) in_array_ = false;
    return true;
  }

  std::vector<std::string> names_;
  int depth_ = 0;
  bool in_array_ = false;  // directly in an array that is a member of the outer object
};

class HeaderReader final : public ObjectReader {
 public:
  TokenHeader header;

 private:
  bool take_string(std::string_view name, std::string& value) override {
    if (name == "alg") header.algorithm = std::move(value);
    if (name == "kid") header.key_id = std::move(value);
    if (name == "crit") header.has_critical = true;
    return true;
  }
  bool take_number(std::string_view name, int64_t, int64_t) override { return other(name); }
  bool take_item(std::string_view, std::string&) override { return true; }
  bool take_other(std::string_view name, bool) override { return other(name); }

  bool other(std::string_view name) {
    if (name == "crit") header.has_critical = true;
    return name != "alg" && name != "kid";
  }
};

class PayloadReader final : public ObjectReader {
 public:
  TokenPayload payload;

 private:
  std::optional<std::string>* text_of(std::string_view name) {
    if (name == "iss") return &payload.issuer;
    if (name == "url") return &payload.url;
    if (name == "prefix") return &payload.prefix;
    if (name == "ip") return &payload.client;
    if (name == "jti") return &payload.id;
    return nullptr;
  }
  static bool is_number(std::string_view name) {
    return name == "exp" || name == "nbf" || name == "streams" || name == "rate";
  }

  bool take_string(std::string_view name, std::string& value) override {
    if (name == "aud") payload.audience = {std::move(value)};
    if (auto* const text = text_of(name); text != nullptr) *text = std::move(value);
    return !is_number(name);
  }
  bool take_number(std::string_view name, int64_t low, int64_t high) override {
    if (name == "exp") payload.expires = low;
    if (name == "nbf") payload.not_before = high;
    if (name == "streams" || name == "rate") {
      if (low < 0) return false;
      // Rounded up, because 0 means no limit.
      (name == "rate" ? payload.rate : payload.streams) = static_cast<uint64_t>(high);
    }
    return name != "aud" && text_of(name) == nullptr;
  }
  bool take_item(std::string_view name, std::string& value) override {
    if (name == "aud") payload.audience.push_back(std::move(value));
    return true;
  }
  bool take_other(std::string_view name, bool is_array) override {
    if (name == "aud") return is_array;
    return !is_number(name) && text_of(name) == nullptr;
  }
};

// The parser takes a NUL for the end of the text.
template <class Reader>
bool read(std::string_view json, Reader& reader) {
  return json.find('\0') == json.npos &&
         Json::sax_parse(json, &reader, Json::input_format_t::json, true);
}

}  // namespace

std::optional<TokenHeader> parse_token_header(std::string_view json) {
  HeaderReader reader;
  if (!read(json, reader)) return std::nullopt;
  return std::move(reader.header);
}

std::optional<TokenPayload> parse_token_payload(std::string_view json) {
  PayloadReader reader;
  if (!read(json, reader)) return std::nullopt;
  return std::move(reader.payload);
}

}  // namespace streamgate
