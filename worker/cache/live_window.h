// The owner's side of an endless body: writes what its fetch reads into the ring, and notes where
// readers can begin.
//
// The fetch is read for the fastest viewer: if that one is half a window behind, reading pauses, as
// it does for a viewer who has a fetch of its own. Without viewers it goes on at a bounded rate,
// until the linger ends.
#pragma once

#include <cstdint>
#include <string_view>

#include "worker/cache/live_format.h"
#include "worker/cache/live_memory.h"
#include "worker/cache/seat.h"
#include "worker/cache/ts_packets.h"

namespace streamgate {

class LiveWindow {
 public:
  // Bytes of the memory for a window of `window` bytes, without the head.
  static uint64_t memory_size(uint64_t window) { return sizeof(LiveMemory) + ring_size(window); }

  // `memory`: aligned, memory_size(window) bytes, which outlive it. Publishes the size of the ring.
  LiveWindow(CacheSeat& seat, const CacheSeat::Object& place, char* memory, uint64_t window,
             LiveFormat format);

  void write(std::string_view bytes);
  // Readers may read all that was written. After each read.
  void publish();
  // The body of another answer follows.
  void begin_next_body();
  // The end: the bytes of a packet that has not ended belong to it.
  void finish();
  uint64_t filled() const { return filled_; }

  // `position`: that of the first viewer of this worker. Whether reading must pause.
  bool is_too_far_ahead(uint64_t position);
  // Nobody has read for a tick of that many milliseconds.
  void go_on_without_viewers(int64_t ms);

 private:
  // A whole number of packets, so that no packet is in two parts.
  static uint64_t ring_size(uint64_t window) { return window / kTsPacket * kTsPacket; }

  void write_packets(std::string_view run);
  void put(std::string_view bytes);

  CacheSeat& seat_;
  const CacheSeat::Object place_;
  LiveMemory& memory_;
  const uint64_t size_;  // of the ring
  const LiveFormat format_;
  TsPackets packets_;
  TsAccessPoints points_;
  uint64_t filled_ = 0;
  uint64_t begin_ = 0;
  uint64_t fastest_ = 0;  // the furthest position of a viewer
};

}  // namespace streamgate
