#include "worker/exchange/packet_cutter.h"

#include <utility>

namespace streamgate {
namespace {

constexpr char kSync = 'G';  // 0x47

}  // namespace

PacketCutter::Pieces PacketCutter::take(std::string_view bytes) {
  switch (phase_) {
    case Phase::searching:
      return search(bytes);
    case Phase::cutting:
      return cut(bytes);
    case Phase::relaying:
      break;
  }
  return {{}, bytes};
}

// Two sync bytes are a packet apart; so is a third one if enough bytes have arrived.
bool PacketCutter::is_packet_start(size_t at) const {
  return kept_[at] == kSync && kept_[at + kPacketBytes] == kSync &&
         (at + 2 * kPacketBytes >= kept_.size() || kept_[at + 2 * kPacketBytes] == kSync);
}

PacketCutter::Pieces PacketCutter::search(std::string_view bytes) {
  kept_ += bytes;
  size_t start = 0;
  while (start + kPacketBytes < kept_.size() && !is_packet_start(start)) ++start;
  const bool is_found = start + kPacketBytes < kept_.size();
  if (!is_found && !is_first_body_) {
    kept_.erase(0, start);
    dropped_ += start;
  }
  const bool gives_up = kept_.size() + dropped_ > kMaxSearchBytes;
  if (!is_found && !gives_up) return {};
  phase_ = is_found ? Phase::cutting : Phase::relaying;
  out_ = std::exchange(kept_, {});
  if (!is_found) return {out_, {}};
  const size_t rest = (out_.size() - start) % kPacketBytes;
  kept_ = out_.substr(out_.size() - rest);
  out_.resize(out_.size() - rest);
  return {std::string_view(out_).substr(is_first_body_ ? 0 : start), {}};
}

PacketCutter::Pieces PacketCutter::cut(std::string_view bytes) {
  std::string_view joined;
  if (!kept_.empty()) {
    const std::string_view end = bytes.substr(0, kPacketBytes - kept_.size());
    kept_ += end;
    if (kept_.size() < kPacketBytes) return {};
    bytes.remove_prefix(end.size());
    out_.swap(kept_);
    joined = out_;
  }
  const std::string_view whole = bytes.substr(0, bytes.size() - bytes.size() % kPacketBytes);
  kept_ = bytes.substr(whole.size());
  return {joined, whole};
}

void PacketCutter::begin_next_body() {
  phase_ = Phase::searching;
  is_first_body_ = false;
  dropped_ = 0;
  kept_.clear();
}

}  // namespace streamgate
