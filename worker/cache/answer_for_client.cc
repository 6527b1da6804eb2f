#include "worker/cache/answer_for_client.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "common/ascii.h"
#include "worker/cache/freshness.h"
#include "worker/fetch/resumption.h"
#include "worker/http/grammar.h"

namespace streamgate {
namespace {

std::optional<std::string_view> find(const std::vector<ForwardedField>& fields,
                                     std::string_view name) {
  for (const ForwardedField& field : fields) {
    if (field.name == name) return field.value;
  }
  return std::nullopt;
}

std::string_view opaque_part(std::string_view tag) {
  return tag.starts_with("W/") ? tag.substr(2) : tag;
}

// RFC 9110 13.1.2: the comparison is weak.
bool matches_any(std::string_view list, std::string_view tag) {
  if (ascii::trim(list) == "*") return true;
  bool found = false;
  http::for_each_element(list, [&](std::string_view each) {
    if (!tag.empty() && opaque_part(each) == opaque_part(tag)) found = true;
  });
  return found;
}

// RFC 9110 13.2.2: If-None-Match first; with it If-Modified-Since does not count.
bool is_not_modified(const ResponseHead& stored, const std::vector<ForwardedField>& forwarded) {
  if (const auto tags = find(forwarded, "If-None-Match")) {
    return matches_any(*tags, field_or_empty(stored.fields, "ETag"));
  }
  const auto since = find(forwarded, "If-Modified-Since");
  if (!since) return false;
  const auto limit = parse_http_date(*since);
  const auto modified = parse_http_date(field_or_empty(stored.fields, "Last-Modified"));
  return limit && modified && *modified <= *limit;
}

// RFC 9110 8.8.2.2: within one second there may have been two bodies.
bool is_strong_date(const ResponseHead& stored) {
  const auto modified = parse_http_date(field_or_empty(stored.fields, "Last-Modified"));
  const auto sent = parse_http_date(field_or_empty(stored.fields, "Date"));
  return !modified || !sent || *modified < *sent;
}

// RFC 9110 13.1.5: a strong tag, or the very date of the answer.
bool range_counts(const ResponseHead& stored, const std::vector<ForwardedField>& forwarded) {
  const auto condition = find(forwarded, "If-Range");
  if (!condition) return true;
  if (condition->starts_with("W/")) return false;
  const bool is_tag = condition->starts_with("\"");
  const std::string_view validator =
      field_or_empty(stored.fields, is_tag ? "ETag" : "Last-Modified");
  return !validator.empty() && validator == *condition && (is_tag || is_strong_date(stored));
}

struct Part {
  bool is_satisfiable;
  uint64_t first;
  uint64_t end;
};

// One range of bytes. None: the field is another unit, several ranges or malformed, and does not
// count (RFC 9110 14.2).
std::optional<Part> part_of(std::string_view range, uint64_t length) {
  constexpr std::string_view kUnit = "bytes=";
  if (!ascii::istarts_with(range, kUnit)) return std::nullopt;
  range = ascii::trim(range.substr(kUnit.size()));
  const size_t dash = range.find('-');
  if (dash == range.npos) return std::nullopt;
  const std::string_view from = range.substr(0, dash);
  const std::string_view to = range.substr(dash + 1);
  const auto first = ascii::parse_uint(from);
  const auto last = ascii::parse_uint(to);
  if ((!from.empty() && !first) || (!to.empty() && !last)) return std::nullopt;
  if (!first && !last) return std::nullopt;
  if (!first) return Part{*last > 0 && length > 0, length - std::min(*last, length), length};
  if (last && *last < *first) return std::nullopt;
  const uint64_t end = last && *last < length ? *last + 1 : length;
  return Part{*first < length, *first, end};
}

void remove(std::string_view name, HeaderFields& fields) {
  std::erase_if(fields,
                [name](const HeaderField& field) { return ascii::iequals(field.name, name); });
}

void make_not_modified(AnswerForClient& answer) {
  answer.head.status = 304;
  answer.head.framing = Framing::none;
  answer.head.declared_length.reset();
  answer.end = answer.first = 0;
}

void make_part(const Part& part, uint64_t length, AnswerForClient& answer) {
  const std::string whole = "/" + std::to_string(length);
  answer.content_range =
      "bytes " +
      (part.is_satisfiable ? std::to_string(part.first) + "-" + std::to_string(part.end - 1)
                           : "*") +
      whole;
  answer.head.status = part.is_satisfiable ? 206 : 416;
  answer.first = part.is_satisfiable ? part.first : 0;
  answer.end = part.is_satisfiable ? part.end : 0;
  answer.head.content_length = answer.end - answer.first;
  answer.head.declared_length = answer.head.content_length;
  answer.head.fields.push_back({"Content-Range", answer.content_range});
  if (part.is_satisfiable) return;
  // The type and the coding are those of a body that is not sent.
  remove("Content-Type", answer.head.fields);
  remove("Content-Encoding", answer.head.fields);
}

}  // namespace

bool may_ask_for_less(const std::vector<ForwardedField>& forwarded) {
  if (find(forwarded, "If-None-Match") || find(forwarded, "If-Modified-Since")) return true;
  const auto range = find(forwarded, "Range");
  return range && !ascii::iequals(ascii::trim(*range), "bytes=0-");
}

std::unique_ptr<AnswerForClient> answer_for_client(const StoredHead& stored,
                                                   const std::vector<ForwardedField>& forwarded,
                                                   Ranges ranges, int64_t age_seconds) {
  auto answer = std::make_unique<AnswerForClient>();
  answer->head = stored.head;
  const uint64_t length = stored.head.content_length;
  answer->end = length;
  if (age_seconds >= 0) {
    remove("Age", answer->head.fields);
    answer->age = std::to_string(age_seconds + age_of(stored.head.fields));
    answer->head.fields.push_back({"Age", answer->age});
  }
  if (stored.head.status != 200) return answer;
  // RFC 9110 14.4: it has no meaning there, and would be taken for ours.
  remove("Content-Range", answer->head.fields);
  if (is_not_modified(stored.head, forwarded)) {
    make_not_modified(*answer);
    return answer;
  }
  const auto range = find(forwarded, "Range");
  if (!range || ranges == Ranges::without || length == 0) return answer;
  if (!range_counts(stored.head, forwarded)) return answer;
  if (const auto part = part_of(*range, length)) make_part(*part, length, *answer);
  return answer;
}

}  // namespace streamgate
