#include "worker/cache/stored_head.h"

#include <cstring>
#include <memory>
#include <utility>

namespace streamgate {
namespace {

// More than an upstream's head can be.
constexpr size_t kMaxHeadBytes = size_t{1} << 20;

void put(uint64_t number, std::string& out) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void put(std::string_view text, std::string& out) {
  put(text.size(), out);
  out += text;
}

// Reads what put() wrote. After the first missing value all are empty.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  uint64_t number() {
    uint64_t out = 0;
    if (text_.size() < sizeof out) {
      fail();
      return 0;
    }
    std::memcpy(&out, text_.data(), sizeof out);
    text_.remove_prefix(sizeof out);
    return out;
  }

  std::string_view text() {
    const uint64_t size = number();
    if (size > text_.size()) {
      fail();
      return {};
    }
    const std::string_view out = text_.substr(0, size);
    text_.remove_prefix(size);
    return out;
  }

  bool is_right() const { return !failed_; }
  bool is_at_end() const { return !failed_ && text_.empty(); }

 private:
  void fail() {
    failed_ = true;
    text_ = {};
  }

  std::string_view text_;
  bool failed_ = false;
};

}  // namespace

std::string print_head(const ResponseHead& head, const FetchFacts& facts) {
  std::string out;
  out.reserve(1024);
  put(static_cast<uint64_t>(head.status), out);
  put(static_cast<uint64_t>(head.minor_version), out);
  put(static_cast<uint64_t>(head.framing), out);
  put(head.content_length, out);
  put(facts.url.to_string(), out);
  put((facts.left_origin ? 1U : 0U) | (facts.is_redirected ? 2U : 0U), out);
  put(static_cast<uint64_t>(facts.age_from_ms), out);
  put(facts.authorization, out);
  put(facts.cookies_for_children, out);
  for (const HeaderField& field : head.fields) {
    put(field.name, out);
    put(field.value, out);
  }
  return out;
}

std::unique_ptr<StoredHead> parse_head(std::string_view text) {
  if (text.size() > kMaxHeadBytes) return nullptr;
  auto out = std::make_unique<StoredHead>();
  out->text = text;
  Reader reader(out->text);
  ResponseHead& head = out->head;
  head.status = static_cast<int>(reader.number());
  head.minor_version = static_cast<int>(reader.number());
  const uint64_t framing = reader.number();
  head.content_length = reader.number();
  auto url = parse_http_url(reader.text());
  const uint64_t flags = reader.number();
  out->facts.age_from_ms = static_cast<int64_t>(reader.number());
  out->facts.authorization = reader.text();
  out->facts.cookies_for_children = reader.text();
  while (reader.is_right() && !reader.is_at_end()) {
    const std::string_view name = reader.text();
    head.fields.push_back({name, reader.text()});
  }
  const bool is_right = reader.is_right() && url && head.status >= 200 && head.status <= 999 &&
                        framing <= static_cast<uint64_t>(Framing::until_close) &&
                        out->facts.age_from_ms >= 0;
  if (!is_right) return nullptr;
  head.framing = static_cast<Framing>(framing);
  if (head.framing == Framing::length) head.declared_length = head.content_length;
  out->facts.url = *std::move(url);
  out->facts.left_origin = (flags & 1U) != 0;
  out->facts.is_redirected = (flags & 2U) != 0;
  return out;
}

bool have_same_body(const StoredHead& one, const StoredHead& other) {
  const auto field = [](const StoredHead& head, std::string_view name) {
    return field_or_empty(head.head.fields, name);
  };
  if (one.head.status != other.head.status ||
      one.head.content_length != other.head.content_length) {
    return false;
  }
  const std::string_view tag = field(one, "ETag");
  if (!tag.empty()) return !tag.starts_with("W/") && tag == field(other, "ETag");
  const std::string_view date = field(one, "Last-Modified");
  return !date.empty() && date == field(other, "Last-Modified");
}

std::string print_failure(const Error& error) {
  std::string out;
  put(static_cast<uint64_t>(error.reason), out);
  put(static_cast<uint64_t>(error.cause), out);
  put(error.detail, out);
  put(error.client_detail, out);
  return out;
}

Error parse_failure(std::string_view text) {
  Reader reader(text);
  const uint64_t reason = reader.number();
  const uint64_t cause = reader.number();
  std::string detail(reader.text());
  std::string client_detail(reader.text());
  if (!reader.is_at_end() || reason >= kReasonCount ||
      cause > static_cast<uint64_t>(Cause::own_place)) {
    return {Reason::internal, "the failure of a shared fetch cannot be read"};
  }
  return {static_cast<Reason>(reason), std::move(detail), std::move(client_detail),
          static_cast<Cause>(cause)};
}

}  // namespace streamgate
