#include "worker/http/chunk_decoder.h"

#include <algorithm>

#include "worker/http/grammar.h"

namespace streamgate {
namespace {

constexpr unsigned kMaxDigits = 15;  // below 2^60: no sum of sizes can wrap
constexpr size_t kMaxOverheadBytes = size_t{16} * 1024;

}  // namespace

Result<std::string_view> ChunkDecoder::next(std::string_view& bytes) {
  while (!bytes.empty() && step_ != Step::done) {
    if (step_ == Step::data) {
      const std::string_view piece = bytes.substr(0, std::min<uint64_t>(left_, bytes.size()));
      bytes.remove_prefix(piece.size());
      left_ -= piece.size();
      if (left_ == 0) step_ = Step::data_cr;
      return piece;
    }
    if (!take(bytes.front())) return Error{Reason::bad_response, "chunk framing"};
    bytes.remove_prefix(1);
  }
  return std::string_view();
}

bool ChunkDecoder::take(char c) {
  if (step_ <= Step::size_lf) return take_in_size_line(c);
  if (step_ == Step::data_cr) return expect(c, '\r', Step::data_lf);
  if (step_ == Step::data_lf) return expect(c, '\n', Step::size_start);
  return take_in_trailers(c);
}

bool ChunkDecoder::take_in_size_line(char c) {
  if (step_ == Step::size_lf) return expect(c, '\n', left_ > 0 ? Step::data : Step::trailer_start);
  if (step_ == Step::size_start) {
    digits_ = 0;
    left_ = 0;
    step_ = Step::size;
    return add_digit(c);
  }
  if (step_ == Step::size && add_digit(c)) return true;

  const bool inside_quotes = step_ == Step::quoted || step_ == Step::escaped;
  if (c == '\r' && !inside_quotes) return expect(c, '\r', Step::size_lf);
  if (!http::is(http::kFieldByte, c) || ++overhead_ > kMaxOverheadBytes) return false;
  switch (step_) {
    case Step::size:
    case Step::blanks:
      // Blanks after the size are common and harmless; only `;` may follow (RFC 9112 7.1.1).
      step_ = c == ';' ? Step::extension : Step::blanks;
      return c == ';' || c == ' ' || c == '\t';
    case Step::extension:
      if (c == '"') step_ = Step::quoted;
      return true;
    case Step::quoted:
      if (c == '"') step_ = Step::extension;
      if (c == '\\') step_ = Step::escaped;
      return true;
    default:
      step_ = Step::quoted;
      return true;
  }
}

bool ChunkDecoder::take_in_trailers(char c) {
  if (step_ == Step::last_lf) return expect(c, '\n', Step::done);
  if (step_ == Step::trailer_start && c == '\r') return expect(c, '\r', Step::last_lf);
  if (++overhead_ > kMaxOverheadBytes) return false;
  switch (step_) {
    case Step::trailer_start:
      step_ = Step::trailer_name;
      return http::is(http::kTokenByte, c);
    case Step::trailer_name:
      if (c == ':') step_ = Step::trailer_value;
      return c == ':' || http::is(http::kTokenByte, c);
    case Step::trailer_value:
      if (c == '\r') step_ = Step::trailer_lf;
      return c == '\r' || http::is(http::kFieldByte, c);
    default:
      return expect(c, '\n', Step::trailer_start);
  }
}

bool ChunkDecoder::add_digit(char c) {
  const int value = ascii::hex_value(c);
  if (value < 0 || ++digits_ > kMaxDigits) return false;
  left_ = left_ * 16 + static_cast<uint64_t>(value);
  return true;
}

bool ChunkDecoder::expect(char c, char wanted, Step next) {
  step_ = next;
  return c == wanted;
}

}  // namespace streamgate
