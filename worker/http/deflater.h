// Compresses a text piece by piece into one gzip stream (RFC 1952).
#pragma once

#include <memory>
#include <string_view>

#include "worker/loop/piecewise_text.h"

namespace streamgate {

class Deflater {
 public:
  // Needs 130 KiB until it is destroyed.
  Deflater();
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  // Appends to `out` the coded bytes that are complete; zlib keeps the others.
  void write(std::string_view text, PiecewiseText& out);
  // Appends coded bytes until the whole text so far can be decoded. Does nothing if it can be.
  void flush(PiecewiseText& out);
  // The end of the stream. Last call.
  void finish(PiecewiseText& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace streamgate
