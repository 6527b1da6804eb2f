#include "worker/fetch/resumption.h"

#include <ctime>

#include "common/ascii.h"

namespace streamgate {
namespace {

// A file may change twice in one second, so a Last-Modified is a strong validator only if it is
// older than the answer. RFC 9110 8.8.2.2 asks for one second if both come from one clock;
// upstreams behind several machines have several clocks.
constexpr int64_t kSafelyOldSeconds = 60;

// A quoted ETag without W/ (RFC 9110 8.8.3).
bool is_strong_tag(std::string_view tag) {
  return tag.size() >= 2 && tag.front() == '"' && tag.back() == '"' &&
         tag.find('"', 1) == tag.size() - 1;
}

bool is_strong_date(std::string_view modified, std::string_view sent) {
  const auto modified_at = parse_http_date(modified);
  const auto sent_at = parse_http_date(sent);
  return modified_at && sent_at && *sent_at - *modified_at >= kSafelyOldSeconds;
}

Error refused(std::string_view why) {
  return Error{Reason::truncated_body, "not resumed: " + std::string(why)};
}

}  // namespace

std::optional<ContentRange> parse_content_range(std::string_view value) {
  constexpr std::string_view kUnit = "bytes ";
  if (!ascii::istarts_with(value, kUnit)) return std::nullopt;
  value.remove_prefix(kUnit.size());
  const size_t dash = value.find('-');
  const size_t slash = value.find('/');
  if (dash == value.npos || slash == value.npos || dash > slash) return std::nullopt;
  const auto first = ascii::parse_uint(value.substr(0, dash));
  const auto last = ascii::parse_uint(value.substr(dash + 1, slash - dash - 1));
  const auto whole = ascii::parse_uint(value.substr(slash + 1));
  if (!first || !last || !whole || *first > *last || *last >= *whole) return std::nullopt;
  return ContentRange{*first, *last, *whole};
}

std::optional<int64_t> parse_http_date(std::string_view value) {
  constexpr size_t kLength = std::string_view("Sun, 06 Nov 1994 08:49:37 GMT").size();
  if (value.size() != kLength) return std::nullopt;
  const std::string text(value);
  std::tm time{};
  // strptime reads English names because the process never sets a locale.
  const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &time);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return ::timegm(&time);
}

std::optional<Resumption> Resumption::of(const ResponseHead& head, Unverified unverified) {
  if (head.framing != Framing::length || head.content_length == 0) return std::nullopt;
  Resumption out;
  if (head.status == 206) {
    const auto range = parse_content_range(field_or_empty(head.fields, "Content-Range"));
    if (!range || range->last - range->first + 1 != head.content_length) return std::nullopt;
    out.first_ = range->first;
    out.last_ = range->last;
    out.whole_ = range->whole;
  } else if (head.status == 200) {
    out.last_ = head.content_length - 1;
    out.whole_ = head.content_length;
  } else {
    return std::nullopt;
  }
  const auto tag = find_field(head.fields, "ETag");
  const std::string_view modified = field_or_empty(head.fields, "Last-Modified");
  if (tag && is_strong_tag(*tag)) {
    out.validator_ = *tag;
  } else if (!tag && is_strong_date(modified, field_or_empty(head.fields, "Date"))) {
    out.validator_ = modified;
    out.by_date_ = true;
  } else if (unverified == Unverified::accepted) {
    out.tag_ = tag.value_or(std::string_view());
    out.modified_ = modified;
  } else {
    return std::nullopt;  // a weak tag says that the bytes may differ, even with an old date
  }
  out.coding_ = field_or_empty(head.fields, "Content-Encoding");
  return out;
}

bool Resumption::has_same_validator(const ResponseHead& head) const {
  if (!validator_.empty()) {
    return field_or_empty(head.fields, by_date_ ? "Last-Modified" : "ETag") == validator_;
  }
  const auto differs = [&head](std::string_view name, const std::string& first) {
    const std::string_view now = field_or_empty(head.fields, name);
    return !first.empty() && !now.empty() && now != first;
  };
  return !differs("ETag", tag_) && !differs("Last-Modified", modified_);
}

std::string Resumption::range(uint64_t taken) const {
  return "bytes=" + std::to_string(first_ + taken) + "-" + std::to_string(last_);
}

Result<void> Resumption::check(const ResponseHead& head, uint64_t taken) const {
  if (head.status != 206) return refused("status " + std::to_string(head.status));
  const auto range = parse_content_range(field_or_empty(head.fields, "Content-Range"));
  if (!range || range->first != first_ + taken || range->last != last_ || range->whole != whole_) {
    return refused("different range");
  }
  if (head.framing != Framing::length || head.content_length != last_ - range->first + 1) {
    return refused("different length");
  }
  if (!has_same_validator(head)) return refused("different validator");
  if (field_or_empty(head.fields, "Content-Encoding") != coding_) {
    return refused("different coding");
  }
  return {};
}

}  // namespace streamgate
