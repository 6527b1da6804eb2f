#include "worker/documents/json/json_reader.h"

#include "common/ascii.h"
#include "common/utf8.h"

namespace streamgate {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool is_of_scalar(char c) {
  return ascii::is_digit(c) || (c >= 'a' && c <= 'z') || c == 'E' || c == '-' || c == '+' ||
         c == '.';
}

size_t skip_digits(std::string_view text, size_t at) {
  while (at < text.size() && ascii::is_digit(text[at])) ++at;
  return at;
}

// RFC 8259 6.
bool is_number(std::string_view text) {
  size_t at = text.starts_with('-') ? 1 : 0;
  const size_t first = at;
  at = skip_digits(text, at);
  if (at == first || (text[first] == '0' && at > first + 1)) return false;
  if (at < text.size() && text[at] == '.') {
    const size_t fraction = ++at;
    at = skip_digits(text, at);
    if (at == fraction) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const size_t exponent = at;
    at = skip_digits(text, at);
    if (at == exponent) return false;
  }
  return at == text.size();
}

}  // namespace

bool JsonReader::read(std::string_view bytes) {
  while (!bytes.empty()) {
    const char c = bytes.front();
    bool is_ok = true;
    size_t taken = 1;
    switch (token_) {
      case Token::none:
        is_ok = is_blank(c) || begin_token(c);
        is_at_begin_ = false;
        break;
      case Token::mark:
        is_ok = take_mark(c);
        break;
      case Token::string:
        taken = read_string(bytes);
        is_ok = taken > 0;
        break;
      case Token::escape:
        is_ok = take_escape(c);
        break;
      case Token::code_unit:
        is_ok = take_hex(c);
        break;
      case Token::scalar:
        taken = is_of_scalar(c) ? 1 : 0;
        if (taken > 0) text_ += c;
        is_ok = taken > 0 || end_scalar();
        break;
    }
    if (!is_ok) return false;
    bytes.remove_prefix(taken);
  }
  return true;
}

bool JsonReader::finish() {
  if (token_ == Token::scalar && !end_scalar()) return false;
  return token_ == Token::none && expects_ == Expects::end;
}

bool JsonReader::begin_token(char c) {
  switch (c) {
    case '"':
      return begin_string();
    case '{':
    case '[':
      return open(c);
    case '}':
    case ']':
      return close(c);
    case ',':
      return comma();
    case ':':
      if (expects_ != Expects::colon) return false;
      expects_ = Expects::value;
      return true;
    default:
      return begin_scalar(c);
  }
}

bool JsonReader::begin_string() {
  is_name_ = expects_ == Expects::name || expects_ == Expects::name_or_end;
  if (!is_name_ && !may_begin_value()) return false;
  token_ = Token::string;
  text_.clear();
  return true;
}

bool JsonReader::begin_scalar(char c) {
  if (is_at_begin_ && c == kByteOrderMark.front()) {
    token_ = Token::mark;
    digits_ = 1;
    return true;
  }
  if (!may_begin_value() || !is_of_scalar(c)) return false;
  token_ = Token::scalar;
  text_ = c;
  return true;
}

bool JsonReader::open(char bracket) {
  if (!may_begin_value()) return false;
  levels_ += bracket;
  expects_ = bracket == '{' ? Expects::name_or_end : Expects::value_or_end;
  return handler_.on_open(bracket);
}

bool JsonReader::close(char bracket) {
  const bool is_object = bracket == '}';
  if (levels_.empty() || levels_.back() != (is_object ? '{' : '[')) return false;
  const Expects empty = is_object ? Expects::name_or_end : Expects::value_or_end;
  if (expects_ != Expects::comma_or_end && expects_ != empty) return false;
  levels_.pop_back();
  end_value();
  return handler_.on_close(bracket);
}

bool JsonReader::comma() {
  if (expects_ != Expects::comma_or_end) return false;
  expects_ = levels_.back() == '{' ? Expects::name : Expects::value;
  return true;
}

// Returns the number of bytes that were taken; 0 if they are not of a string.
size_t JsonReader::read_string(std::string_view bytes) {
  size_t size = 0;
  while (size < bytes.size() && bytes[size] != '"' && bytes[size] != '\\' &&
         static_cast<unsigned char>(bytes[size]) >= 0x20) {
    ++size;
  }
  if (size > 0) {
    text_ += bytes.substr(0, size);
    return first_half_ == 0 ? size : 0;
  }
  if (bytes.front() == '\\') {
    token_ = Token::escape;
    return 1;
  }
  return bytes.front() == '"' && end_string() ? 1 : 0;
}

bool JsonReader::end_string() {
  token_ = Token::none;
  if (first_half_ != 0 || !is_utf8(text_)) return false;
  if (is_name_) {
    expects_ = Expects::colon;
    return handler_.on_name(text_);
  }
  end_value();
  return handler_.on_string(text_);
}

bool JsonReader::end_scalar() {
  token_ = Token::none;
  const bool is_word = text_ == "true" || text_ == "false" || text_ == "null";
  if (!is_word && !is_number(text_)) return false;
  end_value();
  return handler_.on_scalar(text_);
}

bool JsonReader::take_mark(char c) {
  if (c != kByteOrderMark[digits_++]) return false;
  if (digits_ == kByteOrderMark.size()) token_ = Token::none;
  return true;
}

bool JsonReader::take_escape(char c) {
  if (c == 'u') {
    token_ = Token::code_unit;
    digits_ = unit_ = 0;
    return true;
  }
  if (first_half_ != 0) return false;
  constexpr std::string_view kEscapes = "\"\\/bfnrt";
  constexpr std::string_view kCharacters = "\"\\/\b\f\n\r\t";
  const size_t found = kEscapes.find(c);
  if (found == kEscapes.npos) return false;
  text_ += kCharacters[found];
  token_ = Token::string;
  return true;
}

bool JsonReader::take_hex(char c) {
  const int digit = ascii::hex_value(c);
  if (digit < 0) return false;
  unit_ = unit_ << 4U | static_cast<uint32_t>(digit);
  return ++digits_ < 4 || end_code_unit();
}

// UTF-16: a code unit, or the half of a surrogate pair.
bool JsonReader::end_code_unit() {
  token_ = Token::string;
  const bool is_first_half = unit_ >= 0xd800 && unit_ < 0xdc00;
  const bool is_second_half = unit_ >= 0xdc00 && unit_ < 0xe000;
  if ((first_half_ != 0) != is_second_half) return false;
  if (is_first_half) {
    first_half_ = unit_;
    return true;
  }
  constexpr uint32_t kFirstOfPairs = 0x10000;
  const uint32_t code =
      is_second_half ? kFirstOfPairs + ((first_half_ - 0xd800) << 10U) + (unit_ - 0xdc00) : unit_;
  first_half_ = 0;
  append_utf8(code, text_);
  return true;
}

}  // namespace streamgate
