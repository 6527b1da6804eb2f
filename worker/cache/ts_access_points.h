// Finds the packets of an MPEG-TS stream at which a decoder can begin (ISO/IEC 13818-1), and keeps
// the program tables that it needs first.
//
// It follows the first program of the PAT. A point is the first packet of a PES packet
//   of the video whose adaptation field has random_access_indicator, or
//   whose first picture is an IDR picture or has a recovery point SEI (H.264), is an IRAP picture
//   or has a recovery point SEI (HEVC), or is an I picture after a sequence header (MPEG-2); of the
//   sound, if the program has no video.
//
// The cost of a packet is bounded by its size. Lost, repeated, scrambled and damaged packets cost
// points, nothing else. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "worker/cache/ts_packets.h"

namespace streamgate {

// The sections of one PID, from its packets. A section that is damaged is dropped.
class TsSections {
 public:
  // A section of 1024 bytes takes six packets, or seven if it begins at the end of one.
  static constexpr size_t kMaxPackets = 7;

  // `payload`: of `packet`. Calls visit(section, packets) for each section that ends here; the
  // packets are those that contain it.
  template <class Visit>
  void take(std::string_view packet, std::string_view payload, Visit visit);
  void reset();

 private:
  bool is_repeated(std::string_view packet);
  bool append(std::string_view packet, std::string_view& payload);
  bool is_valid() const;

  std::string section_;
  std::string packets_;
  bool is_open_ = false;         // section_ has begun and not ended
  int continuity_counter_ = -1;  // of the last packet; -1: none
};

class TsAccessPoints {
 public:
  static constexpr size_t kMaxTables = 2 * TsSections::kMaxPackets * kTsPacket;  // bytes

  // The next packet of the stream, kTsPacket bytes. The position of a new access point, which is
  // this packet or an earlier one; none: nothing is new.
  std::optional<uint64_t> take(std::string_view packet, uint64_t position);
  // The packets of the last PAT and PMT, of kMaxTables bytes at most; empty: none came.
  std::string tables() const;
  // Packets of another stream follow.
  void begin_next_body() { *this = {}; }

 private:
  enum class Codec { other, mpeg2, h264, hevc };
  // undecided: the picture has not come.
  enum class Verdict { undecided, point, none };
  enum class Sei { none, header, type, size, payload };

  void take_pat(std::string_view section, std::string_view packets);
  void take_pmt(std::string_view section, std::string_view packets);
  std::optional<uint64_t> take_elementary(std::string_view packet, std::string_view payload,
                                          uint64_t position);
  std::optional<uint64_t> decide(Verdict verdict);
  Verdict scan(std::string_view payload);
  Verdict take_pes_header(unsigned char byte);
  Verdict take_byte(unsigned char byte);
  Verdict take_start_code(unsigned char byte);
  Verdict take_picture_header(unsigned char byte);
  Verdict take_sei(unsigned char byte);

  TsSections pat_;
  TsSections pmt_;
  std::string pat_packets_;
  std::string pmt_packets_;
  int program_ = -1;
  int pmt_pid_ = -1;
  int pid_ = -1;  // of the video, else of the sound
  bool is_video_ = false;
  Codec codec_ = Codec::other;

  // The PES packet that is being looked at.
  bool is_scanning_ = false;
  uint64_t candidate_ = 0;
  size_t header_bytes_ = 0;  // of the PES header that have been read
  size_t header_size_ = 0;
  unsigned zeros_ = 0;          // zero bytes in front, 2 at most
  bool is_start_code_ = false;  // the next byte is that of a start code
  bool has_sequence_ = false;
  unsigned picture_bytes_ = 0;  // of a picture header that have been read, from 1; 0: outside
  Sei sei_ = Sei::none;
  size_t sei_type_ = 0;
  size_t sei_size_ = 0;
};

template <class Visit>
void TsSections::take(std::string_view packet, std::string_view payload, Visit visit) {
  if (payload.empty() || is_repeated(packet)) return;
  if ((static_cast<unsigned char>(packet[1]) & 0x40U) != 0) {
    const size_t pointer = static_cast<unsigned char>(payload.front());
    payload.remove_prefix(1);
    if (pointer >= payload.size()) return reset();
    std::string_view end_of_last = payload.substr(0, pointer);
    if (is_open_ && append(packet, end_of_last) && is_valid()) visit(section_, packets_);
    payload.remove_prefix(pointer);
    is_open_ = false;
  } else if (!is_open_) {
    return;
  }
  // Stuffing is 0xff.
  while (!payload.empty() && (is_open_ || payload.front() != '\xff')) {
    if (!is_open_) {
      section_.clear();
      packets_.clear();
      is_open_ = true;
    }
    if (!append(packet, payload)) return;
    if (is_valid()) visit(section_, packets_);
    is_open_ = false;
  }
}

}  // namespace streamgate
