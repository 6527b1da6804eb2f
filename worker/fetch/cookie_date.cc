#include "worker/fetch/cookie_date.h"

#include <array>
#include <ctime>

#include "common/ascii.h"

namespace streamgate {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};

// RFC 6265 5.1.1, `delimiter`. All other bytes belong to tokens.
bool is_delimiter(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == 0x09 || (byte >= 0x20 && byte <= 0x2f) || (byte >= 0x3b && byte <= 0x40) ||
         (byte >= 0x5b && byte <= 0x60) || (byte >= 0x7b && byte <= 0x7e);
}

// Removes between `least` and `most` digits, and no further one, from the front of `text`.
std::optional<int> take_number(std::string_view& text, size_t least, size_t most) {
  size_t digits = 0;
  int value = 0;
  while (digits < text.size() && ascii::is_digit(text[digits])) {
    if (++digits > most) return std::nullopt;
    value = value * 10 + (text[digits - 1] - '0');
  }
  if (digits < least) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

// `hh:mm:ss`, one or two digits each; other bytes may follow.
bool take_time(std::string_view token, std::tm& date) {
  const auto hour = take_number(token, 1, 2);
  if (!hour || !token.starts_with(':')) return false;
  token.remove_prefix(1);
  const auto minute = take_number(token, 1, 2);
  if (!minute || !token.starts_with(':')) return false;
  token.remove_prefix(1);
  const auto second = take_number(token, 1, 2);
  if (!second) return false;
  date.tm_hour = *hour;
  date.tm_min = *minute;
  date.tm_sec = *second;
  return true;
}

std::optional<int> month_of(std::string_view token) {
  for (size_t i = 0; i < kMonths.size(); ++i) {
    if (ascii::istarts_with(token, kMonths[i])) return static_cast<int>(i);
  }
  return std::nullopt;
}

// The parts found so far. Each token fills the first empty part that it fits (RFC 6265 5.1.1).
struct Parts {
  std::tm date{};
  bool has_time = false, has_day = false, has_month = false, has_year = false;

  void take(std::string_view token) {
    if (!has_time && take_time(token, date)) {
      has_time = true;
      return;
    }
    std::string_view rest = token;
    if (!has_day) {
      if (const auto day = take_number(rest, 1, 2)) {
        date.tm_mday = *day;
        has_day = true;
        return;
      }
    }
    if (!has_month) {
      if (const auto month = month_of(token)) {
        date.tm_mon = *month;
        has_month = true;
        return;
      }
    }
    rest = token;
    if (const auto year = has_year ? std::nullopt : take_number(rest, 2, 4)) {
      date.tm_year = *year;
      has_year = true;
    }
  }
};

}  // namespace

std::optional<int64_t> parse_cookie_date(std::string_view text) {
  Parts parts;
  while (!text.empty()) {
    size_t size = 0;
    while (size < text.size() && !is_delimiter(text[size])) ++size;
    if (size > 0) parts.take(text.substr(0, size));
    text.remove_prefix(size == 0 ? 1 : size);
  }
  if (!parts.has_time || !parts.has_day || !parts.has_month || !parts.has_year) return std::nullopt;
  std::tm& date = parts.date;
  if (date.tm_year >= 70 && date.tm_year <= 99) date.tm_year += 1900;
  if (date.tm_year <= 69) date.tm_year += 2000;
  if (date.tm_mday < 1 || date.tm_mday > 31 || date.tm_year < 1601 || date.tm_hour > 23 ||
      date.tm_min > 59 || date.tm_sec > 59) {
    return std::nullopt;
  }
  date.tm_year -= 1900;
  return ::timegm(&date);
}

}  // namespace streamgate
