// Compresses a body with brotli or zstd, as an upstream with a Content-Encoding does.
#pragma once

#include <brotli/encode.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <string>
#include <string_view>

namespace streamgate {

inline std::string brotli_coded(std::string_view plain) {
  size_t size = BrotliEncoderMaxCompressedSize(plain.size()) + 64;
  std::string out(size, '\0');
  EXPECT_TRUE(BrotliEncoderCompress(5, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, plain.size(),
                                    reinterpret_cast<const uint8_t*>(plain.data()), &size,
                                    reinterpret_cast<uint8_t*>(out.data())));
  out.resize(size);
  return out;
}

inline std::string zstd_coded(std::string_view plain) {
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  const size_t size = ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 3);
  EXPECT_EQ(ZSTD_isError(size), 0U);
  out.resize(size);
  return out;
}

}  // namespace streamgate
