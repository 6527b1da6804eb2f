// The owner's side of an endless body: writes what its fetch reads into the ring, and notes where
// readers can begin.
//
// The fetch is read at the speed of the fastest viewer. At each tick of LiveClock the owner learns
// the position of that viewer, and until the next tick it reads at most a quarter of the window
// beyond that position. Therefore:
//
//   - Bytes that the fastest viewer has not read are never overwritten: the upstream waits for it,
//     as for a viewer who has a fetch of its own.
//   - Between two ticks at most a quarter of the window is written. A viewer who reads at each tick
//     of its own worker loses nothing either, unless that worker is late by two ticks or more.
//   - A viewer who is three quarters of a window or more behind the fastest one may lose bytes, and
//     then continues by the rule of LiveReader. It delays neither the fetch nor the other viewers.
//
// Two reads may exceed the room: the first one, of 64 KiB, which also has the head, and a read of
// TLS, by one record of 16 KiB. The other three quarters of the ring have space for that, because
// the ring has at least 256 KiB.
//
// Without viewers the fetch continues at a bounded rate until the linger ends.
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
  // Readers may read all that was written. After each read. `now_ms`: CLOCK_MONOTONIC.
  void publish(int64_t now_ms);
  // The body of another answer follows.
  void begin_next_body();
  // The body has ended. Publishes an incomplete packet too.
  void finish(int64_t now_ms);
  uint64_t filled() const { return filled_; }

  // The bytes that may be written before the next tick. 0: reading must pause until then.
  size_t room() const;
  // A tick. `position`: how far the first viewer of this worker is.
  void on_tick(uint64_t position);
  // Before on_tick(): nobody has read for that many milliseconds.
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
  uint64_t fastest_ = 0;  // the furthest position of a viewer, at the last tick
};

}  // namespace streamgate
