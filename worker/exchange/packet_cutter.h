// Cuts an MPEG-TS body between packets (ISO/IEC 13818-1 2.4.3.2: 188 bytes, the first one 0x47), so
// that the body of another answer can follow it. An incomplete packet is kept until the whole
// packet has arrived.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace streamgate {

class PacketCutter {
 public:
  // Two pieces to send in this order; either may be empty. Valid until the next call; `whole` is a
  // part of the given bytes.
  struct Pieces {
    std::string_view joined;
    std::string_view whole;
  };
  Pieces take(std::string_view bytes);

  // Another body follows. Drops the incomplete packet, and later the bytes before the first packet
  // of the new body.
  void begin_next_body();
  // No body follows: returns the bytes that are left.
  std::string_view finish() const { return kept_; }

 private:
  static constexpr size_t kPacketBytes = 188;
  // A body without packets in its first bytes up to this number is relayed as it comes.
  static constexpr size_t kMaxSearchBytes = size_t{4} * 1024;

  bool is_packet_start(size_t at) const;
  Pieces search(std::string_view bytes);
  Pieces cut(std::string_view bytes);

  enum class Phase { searching, cutting, relaying };
  Phase phase_ = Phase::searching;
  bool is_first_body_ = true;
  size_t dropped_ = 0;  // bytes of this body
  std::string kept_;    // less than one packet while cutting
  std::string out_;     // Pieces::joined
};

}  // namespace streamgate
