#include "worker/cache/freshness.h"

#include <algorithm>

#include "common/ascii.h"
#include "worker/fetch/resumption.h"
#include "worker/http/grammar.h"

namespace streamgate {
namespace {

// RFC 9111 1.2.2: a larger number counts as this one.
constexpr int64_t kMaxSeconds = int64_t{1} << 31U;

struct Directives {
  bool is_there = false;
  bool no_store = false;  // or private
  bool no_cache = false;
  std::optional<int64_t> max_age = std::nullopt;
  std::optional<int64_t> s_maxage = std::nullopt;
};

// RFC 9111 4.2.1: an answer whose lifetime is not valid counts as stale.
int64_t seconds_in(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  if (text.empty() || !std::all_of(text.begin(), text.end(), ascii::is_digit)) return 0;
  const auto number = ascii::parse_uint(text);
  if (!number || *number > static_cast<uint64_t>(kMaxSeconds)) return kMaxSeconds;
  return static_cast<int64_t>(*number);
}

void keep_least(int64_t seconds, std::optional<int64_t>& out) {
  out = std::min(out.value_or(kMaxSeconds), seconds);
}

// The size of the quoted text at the beginning; 1 if it has no end: then the quote is a character
// like others, so that no directive behind it is lost.
size_t quoted_size(std::string_view text) {
  for (size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '"') return at + 1;
    if (text[at] == '\\') ++at;
  }
  return 1;
}

// As http::for_each_element, but a comma inside quotes separates nothing (RFC 9111 5.2).
template <class Visit>
void for_each_directive(std::string_view list, Visit visit) {
  size_t begin = 0;
  // Behind a quote without an end there is none with one. Looking for it again from each of them
  // would take seconds.
  bool may_end = true;
  for (size_t at = 0; at <= list.size();) {
    if (may_end && at < list.size() && list[at] == '"') {
      const size_t size = quoted_size(list.substr(at));
      may_end = size > 1;
      at += size;
    } else if (at == list.size() || list[at] == ',') {
      const std::string_view element = ascii::trim(list.substr(begin, at - begin));
      if (!element.empty()) visit(element);
      begin = ++at;
    } else {
      ++at;
    }
  }
}

Directives directives_of(const HeaderFields& fields) {
  Directives out;
  for (const HeaderField& field : fields) {
    if (!ascii::iequals(field.name, "Cache-Control")) continue;
    for_each_directive(field.value, [&out](std::string_view element) {
      out.is_there = true;
      const size_t equals = std::min(element.find('='), element.size());
      const std::string_view name = ascii::trim(element.substr(0, equals));
      const std::string_view value =
          equals < element.size() ? ascii::trim(element.substr(equals + 1)) : std::string_view();
      if (ascii::iequals(name, "no-store") || ascii::iequals(name, "private")) out.no_store = true;
      if (ascii::iequals(name, "no-cache")) out.no_cache = true;
      if (ascii::iequals(name, "max-age")) keep_least(seconds_in(value), out.max_age);
      if (ascii::iequals(name, "s-maxage")) keep_least(seconds_in(value), out.s_maxage);
    });
  }
  return out;
}

bool varies_too_much(const HeaderFields& fields) {
  bool out = false;
  for (const HeaderField& field : fields) {
    if (!ascii::iequals(field.name, "Vary")) continue;
    http::for_each_element(field.value, [&out](std::string_view name) {
      if (!ascii::iequals(name, "Accept-Encoding") && !ascii::iequals(name, "Origin")) out = true;
    });
  }
  return out;
}

// RFC 9111 4.2.1, without the age of the answer.
std::optional<int64_t> lifetime(const Directives& said, const HeaderFields& fields, int64_t now) {
  if (said.no_cache) return 0;
  if (said.s_maxage) return said.s_maxage;
  if (said.max_age) return said.max_age;
  if (const auto expires = find_field(fields, "Expires")) {
    const auto at = parse_http_date(*expires);
    const auto sent = parse_http_date(field_or_empty(fields, "Date"));
    return at ? std::clamp<int64_t>(*at - sent.value_or(now), 0, kMaxSeconds) : 0;
  }
  const bool is_old_no_cache =
      !said.is_there && ascii::iequals(field_or_empty(fields, "Pragma"), "no-cache");
  return is_old_no_cache ? std::optional<int64_t>(0) : std::nullopt;
}

}  // namespace

Freshness freshness_of(const HeaderFields& fields, NoStore no_store, int64_t now) {
  const Directives said = directives_of(fields);
  const bool is_ignored = said.no_store && no_store == NoStore::ignored;
  Freshness out;
  out.may_share = !varies_too_much(fields) && (!said.no_store || is_ignored);
  if (!out.may_share || is_ignored) return out;
  out.seconds = lifetime(said, fields, now);
  // RFC 9111 4.2.3: the age is that of the field, which counts from the request on. The apparent
  // age (our clock minus Date) does not count, which 4.2.3 allows: it is for caches that add no
  // Age. With it a live playlist of an upstream whose clock is a minute slow would never be fresh,
  // and each of its viewers would ask the upstream.
  if (out.seconds) out.seconds = std::max<int64_t>(0, *out.seconds - age_of(fields));
  return out;
}

// RFC 9111 5.1: of a list the first value counts, and what is not valid does not.
int64_t age_of(const HeaderFields& fields) {
  const std::string_view list = field_or_empty(fields, "Age");
  return seconds_in(ascii::trim(list.substr(0, list.find(','))));
}

}  // namespace streamgate
