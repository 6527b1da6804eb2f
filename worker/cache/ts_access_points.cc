#include "worker/cache/ts_access_points.h"

#include <algorithm>
#include <array>
#include <utility>

namespace streamgate {
namespace {

constexpr size_t kMaxSection = 1024;  // bytes: 2.4.4.4, 2.4.4.9
constexpr size_t kCrc = 4;
constexpr int kNoPid = -1;

unsigned byte_at(std::string_view bytes, size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

// The low `bits` of two bytes.
int number_at(std::string_view bytes, size_t at, unsigned bits) {
  return static_cast<int>((byte_at(bytes, at) << 8U | byte_at(bytes, at + 1)) & ((1U << bits) - 1));
}

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> out{};
  for (uint32_t i = 0; i < out.size(); ++i) {
    uint32_t crc = i << 24U;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1U) ^ ((crc >> 31U) * 0x04c11db7U);
    out[i] = crc;
  }
  return out;
}

// Annex A. Of a section with its CRC: 0.
uint32_t crc_of(std::string_view section) {
  static constexpr std::array<uint32_t, 256> kTable = make_crc_table();
  uint32_t crc = 0xffffffffU;
  for (const char byte : section) {
    crc = (crc << 8U) ^ kTable[(crc >> 24U) ^ static_cast<unsigned char>(byte)];
  }
  return crc;
}

bool is_scrambled(std::string_view packet) { return (byte_at(packet, 3) & 0xc0U) != 0; }
bool begins_unit(std::string_view packet) { return (byte_at(packet, 1) & 0x40U) != 0; }
bool has_adaptation_field(std::string_view packet) { return (byte_at(packet, 3) & 0x20U) != 0; }

bool has_random_access_indicator(std::string_view packet) {
  return has_adaptation_field(packet) && byte_at(packet, 4) > 0 &&
         (byte_at(packet, 5) & 0x40U) != 0;
}

std::string_view payload_of(std::string_view packet) {
  if ((byte_at(packet, 3) & 0x10U) == 0) return {};
  const size_t at = has_adaptation_field(packet) ? 5 + size_t{byte_at(packet, 4)} : 4;
  return at < packet.size() ? packet.substr(at) : std::string_view();
}

// Table 2-34, and the numbers that ATSC and others have taken.
bool is_video(unsigned type) {
  constexpr std::array<unsigned, 12> kTypes = {0x01, 0x02, 0x10, 0x1b, 0x20, 0x21,
                                               0x24, 0x33, 0x42, 0xd1, 0xd2, 0xea};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

bool is_sound(unsigned type) {
  constexpr std::array<unsigned, 9> kTypes = {0x03, 0x04, 0x0f, 0x11, 0x1c, 0x81, 0x82, 0x84, 0x87};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

// current_next_indicator 0: the table is not valid yet.
bool is_current(std::string_view section) { return (byte_at(section, 5) & 1U) != 0; }

constexpr size_t kRecoveryPoint = 6;  // payloadType, of H.264 and of HEVC

}  // namespace

// --- sections ---

void TsSections::reset() {
  is_open_ = false;
  continuity_counter_ = -1;
}

// 2.4.3.3: a packet may come twice.
bool TsSections::is_repeated(std::string_view packet) {
  const int counter = static_cast<int>(byte_at(packet, 3) & 0x0fU);
  return std::exchange(continuity_counter_, counter) == counter && is_open_;
}

// Takes from the front of `payload`. True if the section is complete.
bool TsSections::append(std::string_view packet, std::string_view& payload) {
  constexpr size_t kLengthEnds = 3;
  if (packets_.size() == kMaxPackets * kTsPacket) {
    is_open_ = false;
    payload = {};
    return false;
  }
  packets_ += packet;
  const auto take = [&](size_t up_to) {
    const std::string_view part = payload.substr(0, up_to - std::min(up_to, section_.size()));
    section_ += part;
    payload.remove_prefix(part.size());
    return section_.size() >= up_to;
  };
  if (!take(kLengthEnds)) return false;
  const size_t size = kLengthEnds + static_cast<size_t>(number_at(section_, 1, 12));
  if (size <= kMaxSection) return take(size);
  is_open_ = false;
  payload = {};
  return false;
}

bool TsSections::is_valid() const { return section_.size() > 8 + kCrc && crc_of(section_) == 0; }

// --- tables ---

std::string TsAccessPoints::tables() const {
  return pmt_packets_.empty() ? std::string() : pat_packets_ + pmt_packets_;
}

std::optional<uint64_t> TsAccessPoints::take(std::string_view packet, uint64_t position) {
  const bool is_damaged = (byte_at(packet, 1) & 0x80U) != 0;
  if (is_damaged) return std::nullopt;
  const int pid = number_at(packet, 1, 13);
  const bool is_of_interest = pid == 0 || pid == pmt_pid_ || pid == pid_;
  if (!is_of_interest) return std::nullopt;
  const std::string_view payload = payload_of(packet);
  if (pid == pid_) return take_elementary(packet, payload, position);
  if (is_scrambled(packet)) return std::nullopt;
  if (pid == 0) {
    pat_.take(packet, payload, [this](std::string_view section, std::string_view packets) {
      take_pat(section, packets);
    });
  } else {
    pmt_.take(packet, payload, [this](std::string_view section, std::string_view packets) {
      take_pmt(section, packets);
    });
  }
  return std::nullopt;
}

void TsAccessPoints::take_pat(std::string_view section, std::string_view packets) {
  if (byte_at(section, 0) != 0 || !is_current(section)) return;
  const size_t end = section.size() - kCrc;
  for (size_t at = 8; at + 4 <= end; at += 4) {
    const int program = number_at(section, at, 16);
    const int pid = number_at(section, at + 2, 13);
    if (program == 0 || pid == 0) continue;
    pat_packets_ = packets;
    if (program == program_ && pid == pmt_pid_) return;
    program_ = program;
    pmt_pid_ = pid;
    pmt_.reset();
    pmt_packets_.clear();
    pid_ = kNoPid;
    is_scanning_ = false;
    return;
  }
}

void TsAccessPoints::take_pmt(std::string_view section, std::string_view packets) {
  const bool is_ours = byte_at(section, 0) == 2 && number_at(section, 3, 16) == program_;
  if (!is_ours || !is_current(section)) return;
  const size_t end = section.size() - kCrc;
  int video = kNoPid;
  int sound = kNoPid;
  unsigned video_type = 0;
  for (size_t at = 12 + static_cast<size_t>(number_at(section, 10, 12)); at + 5 <= end;) {
    const unsigned type = byte_at(section, at);
    const int pid = number_at(section, at + 1, 13);
    if (video == kNoPid && is_video(type)) {
      video = pid;
      video_type = type;
    }
    if (sound == kNoPid && is_sound(type)) sound = pid;
    at += 5 + static_cast<size_t>(number_at(section, at + 3, 12));
  }
  pmt_packets_ = packets;
  const int pid = video != kNoPid ? video : sound;
  if (pid != pid_) is_scanning_ = false;
  pid_ = pid;
  is_video_ = video != kNoPid;
  codec_ = video_type == 0x01 || video_type == 0x02 ? Codec::mpeg2
           : video_type == 0x1b                     ? Codec::h264
           : video_type == 0x24                     ? Codec::hevc
                                                    : Codec::other;
}

// --- the video ---

std::optional<uint64_t> TsAccessPoints::take_elementary(std::string_view packet,
                                                        std::string_view payload,
                                                        uint64_t position) {
  if (begins_unit(packet)) {
    is_scanning_ = !payload.empty();
    candidate_ = position;
    header_bytes_ = header_size_ = 0;
    zeros_ = picture_bytes_ = 0;
    is_start_code_ = has_sequence_ = false;
    sei_ = Sei::none;
    if (!is_scanning_) return std::nullopt;
    if (has_random_access_indicator(packet) || !is_video_) return decide(Verdict::point);
  }
  if (!is_scanning_) return std::nullopt;
  if (is_scrambled(packet) || codec_ == Codec::other) return decide(Verdict::none);
  return decide(scan(payload));
}

std::optional<uint64_t> TsAccessPoints::decide(Verdict verdict) {
  if (verdict != Verdict::undecided) is_scanning_ = false;
  return verdict == Verdict::point ? std::optional(candidate_) : std::nullopt;
}

TsAccessPoints::Verdict TsAccessPoints::scan(std::string_view payload) {
  for (const char each : payload) {
    const auto byte = static_cast<unsigned char>(each);
    const bool is_in_header = header_size_ == 0 || header_bytes_ < header_size_;
    const Verdict verdict = is_in_header ? take_pes_header(byte) : take_byte(byte);
    if (verdict != Verdict::undecided) return verdict;
  }
  return Verdict::undecided;
}

// 2.4.3.6: 00 00 01, the stream, the length, two bytes of flags, the length of the fields that
// follow.
TsAccessPoints::Verdict TsAccessPoints::take_pes_header(unsigned char byte) {
  constexpr std::array<unsigned char, 3> kPrefix = {0, 0, 1};
  constexpr size_t kFixed = 9;
  if (header_bytes_ < kPrefix.size() && byte != kPrefix[header_bytes_]) return Verdict::none;
  if (++header_bytes_ == kFixed) header_size_ = kFixed + byte;
  return Verdict::undecided;
}

TsAccessPoints::Verdict TsAccessPoints::take_byte(unsigned char byte) {
  if (is_start_code_) {
    is_start_code_ = false;
    zeros_ = 0;
    return take_start_code(byte);
  }
  if (zeros_ == 2 && byte == 1) {
    is_start_code_ = true;
    sei_ = Sei::none;
    picture_bytes_ = 0;
    return Verdict::undecided;
  }
  // H.264 7.4.1: after two zero bytes, a 3 is not part of the content.
  const bool is_escape = zeros_ == 2 && byte == 3;
  zeros_ = byte == 0 ? std::min(zeros_ + 1, 2U) : 0;
  if (picture_bytes_ > 0) return take_picture_header(byte);
  return sei_ != Sei::none && !is_escape ? take_sei(byte) : Verdict::undecided;
}

TsAccessPoints::Verdict TsAccessPoints::take_start_code(unsigned char byte) {
  if (codec_ == Codec::mpeg2) {
    if (byte == 0xb3) has_sequence_ = true;
    if (byte == 0) {
      picture_bytes_ = 1;
      // The code itself is a zero, and so may be the next byte.
      zeros_ = 0;
    }
    return Verdict::undecided;
  }
  if (codec_ == Codec::h264) {
    const unsigned type = byte & 0x1fU;
    if (type == 5) return Verdict::point;
    if (type >= 1 && type <= 4) return Verdict::none;
    sei_ = type == 6 ? Sei::type : Sei::none;
  } else {
    const unsigned type = byte >> 1U & 0x3fU;
    if (type >= 16 && type <= 23) return Verdict::point;
    if (type < 16) return Verdict::none;
    sei_ = type == 39 ? Sei::header : Sei::none;
  }
  sei_type_ = sei_size_ = 0;
  return Verdict::undecided;
}

// ISO/IEC 13818-2 6.2.3: ten bits of temporal_reference, three of picture_coding_type.
TsAccessPoints::Verdict TsAccessPoints::take_picture_header(unsigned char byte) {
  if (++picture_bytes_ < 3) return Verdict::undecided;
  picture_bytes_ = 0;
  const bool is_intra = (byte >> 3U & 7U) == 1;
  return is_intra && has_sequence_ ? Verdict::point : Verdict::none;
}

// H.264 7.3.2.3.1: type and size, each as a sum of bytes of which only the last is not 0xff.
TsAccessPoints::Verdict TsAccessPoints::take_sei(unsigned char byte) {
  switch (sei_) {
    case Sei::none:
      break;
    case Sei::header:
      sei_ = Sei::type;
      break;
    case Sei::type:
      sei_type_ += byte;
      if (byte == 0xff) break;
      sei_ = Sei::size;
      break;
    case Sei::size:
      sei_size_ += byte;
      if (byte == 0xff) break;
      if (sei_type_ == kRecoveryPoint) return Verdict::point;
      sei_ = sei_size_ > 0 ? Sei::payload : Sei::type;
      sei_type_ = 0;
      break;
    case Sei::payload:
      if (--sei_size_ > 0) break;
      sei_ = Sei::type;
      break;
  }
  return Verdict::undecided;
}

}  // namespace streamgate
