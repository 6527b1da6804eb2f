// The bandwidth of one stream: limits.per_client.bandwidth, the claim `rate` of its token, and
// `bandwidth` of its key. All streams of a client share one row of the ArrivalTable, over all
// connections and workers, so a client gets its rate once, however many streams it has.
//
// Before it reads, a stream reserves a tenth of a second of the rate. If others have reserved the
// time before, it waits for its turn: streams that want more than the rate get equal parts of it. A
// stream that needs less leaves the rest to the others.
//
// Not SO_MAX_PACING_RATE: the kernel limits each socket by itself, and accepts whole segments into
// its buffer. Of 2 MB at 500 kB/s it had the last byte after 17 ms, and delivered it after 3.3 s
// (measured): the stream would be over, and the client could begin the next one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/arrival_table.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

class RateMeter {
 public:
  // A row of the table and its bytes a second.
  struct Bucket {
    uint64_t key = 0;
    uint64_t rate = 0;
  };
  // Of a client, its token and its key.
  static constexpr size_t kMaxBuckets = 3;
  // A smaller rate counts as this one.
  static constexpr uint64_t kMinRate = 1024;
  // How much a client may get at once after a pause, as a time of its rate.
  static constexpr int64_t kBurstUs = 500'000;

  // Called from the event loop when a wait has ended. Set before the first wait.
  class Observer {
   public:
    virtual void on_bandwidth() = 0;

   protected:
    ~Observer() = default;
  };

  RateMeter(ArrivalTable& table, TimerWheel& wheel)
      : table_(table), wait_(wheel, this, call<&RateMeter::on_wait_end>) {}

  // At most kMaxBuckets times; a rate of 0 is no limit.
  void add(Bucket bucket);
  bool has_limit() const { return count_ > 0; }
  void set_observer(Observer& observer) { observer_ = &observer; }

  // Before a request is sent: whether earlier streams have used up the rate. Then the observer is
  // called later.
  bool must_wait();
  // How many of `most` bytes may be read now. 0: none; the observer is called later. `taken`: the
  // bytes that this stream has read so far.
  size_t room(size_t most, uint64_t taken);
  // The stream is over after `taken` bytes: what it has not reserved is charged, and what it has
  // not used is given back.
  void settle(uint64_t taken);
  // Whether the stream has had to wait.
  bool has_waited() const { return has_waited_; }

 private:
  void account(uint64_t taken);
  int64_t charge(int64_t bytes);
  bool wait_for(int64_t us);
  void on_wait_end();

  ArrivalTable& table_;
  Deadline wait_;
  Observer* observer_ = nullptr;
  std::array<Bucket, kMaxBuckets> buckets_;
  size_t count_ = 0;
  int64_t portion_ = 0;  // bytes to reserve
  int64_t credit_ = 0;   // reserved bytes that have not been read; negative: read without
  uint64_t accounted_ = 0;
  bool has_waited_ = false;
};

}  // namespace streamgate
