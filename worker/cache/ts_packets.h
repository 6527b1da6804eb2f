// Cuts an MPEG-TS body into whole packets (ISO/IEC 13818-1 2.4.3.2: 188 bytes, the first one 0x47).
// Bytes between packets, which a decoder would skip, are dropped. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace streamgate {

constexpr size_t kTsPacket = 188;  // bytes
constexpr char kTsSync = 'G';      // 0x47

class TsPackets {
 public:
  // The offset of the first packet in `bytes`: of two sync bytes a packet apart, and of a third one
  // if so much is there. npos: there is none.
  static size_t first_packet(std::string_view bytes);

  // Two runs of whole packets, in this order; either may be empty. Valid until the next call.
  struct Runs {
    std::string_view first;
    std::string_view second;
  };
  // Takes from the front of `bytes` and removes what it has taken. Call it until `bytes` is empty.
  Runs take(std::string_view& bytes);

  // The bytes of a packet that has not ended.
  std::string_view rest() const {
    return is_synced_ ? std::string_view(kept_) : std::string_view();
  }
  // Another body follows: drops the packet that has not ended.
  void begin_next_body();

 private:
  Runs search(std::string_view& bytes);

  bool is_synced_ = false;
  std::string kept_;  // in sync: the begin of a packet. Else the bytes that may begin one
  std::string out_;   // Runs::first
};

}  // namespace streamgate
