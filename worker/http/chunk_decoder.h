// Removes the chunk framing of a body (RFC 9112 7.1), strictly: sizes of 1 to 15 hex digits, CRLF
// as the only line end. Extensions and trailers are dropped; together they have a limit of 16 KiB.
//
// Never copies a byte of the body.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/result.h"

namespace streamgate {

class ChunkDecoder {
 public:
  void reset() { *this = ChunkDecoder(); }

  // Consumes `bytes` up to the end of the next piece of the body, and returns that piece; empty
  // when `bytes` is used up or done(). bad_response for invalid framing.
  Result<std::string_view> next(std::string_view& bytes);

  // The last chunk and the trailer section are complete; later bytes do not belong to the body.
  bool done() const { return step_ == Step::done; }

 private:
  // In the order of the message; one byte decides each step.
  enum class Step {
    size_start,
    size,
    blanks,
    extension,
    quoted,
    escaped,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer_name,
    trailer_value,
    trailer_lf,
    last_lf,
    done
  };

  // Each returns false for a byte that is not allowed at its place.
  bool take(char c);
  bool take_in_size_line(char c);
  bool take_in_trailers(char c);
  bool add_digit(char c);
  bool expect(char c, char wanted, Step next);

  Step step_ = Step::size_start;
  unsigned digits_ = 0;
  uint64_t left_ = 0;    // of this chunk's data
  size_t overhead_ = 0;  // bytes of extensions and trailers so far
};

}  // namespace streamgate
