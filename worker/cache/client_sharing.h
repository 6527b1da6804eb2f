// The state of an answer that a client shares, or may share. For ClientFetch alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "worker/cache/answer_for_client.h"
#include "worker/cache/client_fetch.h"
#include "worker/cache/key.h"
#include "worker/cache/live_reader.h"

namespace streamgate {

struct ClientFetch::Sharing {
  // Documents are handed on in pieces of this size; other bodies as the client has room.
  static constexpr uint64_t kPieceBytes = uint64_t{64} * 1024;

  // A client gets no more bytes in one turn of the loop, as an upstream's connection does
  // (UpstreamConnection).
  static constexpr uint64_t kMaxBytesPerTurn = uint64_t{1024} * 1024;

  // `its_method` is the client's; that of the request is GET.
  Sharing(FetchRequest&& its_request, Method its_method, const CacheKey& its_key, Cache& cache,
          ClientFetch& fetch)
      : request(std::move(its_request)),
        method(its_method),
        key(its_key),
        ranges(is_head() ? Ranges::without : Ranges::with),
        next_turn(cache.turns(), &fetch, call<&ClientFetch::proceed>) {}

  bool is_head() const { return method == Method::head; }

  FetchRequest request;
  const Method method;
  CacheKey key;
  FirstClient client = {};
  uint64_t identity = 0;  // OriginMarks'; 0: not of a player
  bool has_changed_identity = false;
  bool must_join = false;  // in the next turn
  bool must_pass = false;  // likewise
  const RequestNote* const note = current_note();
  SharedObject* object = nullptr;                          // null: before join(), and after the end
  std::shared_ptr<const StoredHead> head = nullptr;        // of `answer`
  std::shared_ptr<const StoredHead> known_head = nullptr;  // of the object; found to be the same
  std::unique_ptr<AnswerForClient> answer = nullptr;       // null: the observer has no head
  std::unique_ptr<AnswerForClient> previous = nullptr;     // that of a range, after a restart
  std::unique_ptr<LiveReader> live = nullptr;              // of an endless body
  std::optional<int64_t> left_ms = std::nullopt;  // when its last object got its last bytes
  Fetch::Sink* sink = nullptr;
  Ranges ranges;
  uint64_t position = 0;   // of the next byte
  uint64_t turn_left = 0;  // bytes that it may get in this turn
  WorkQueue::Task next_turn;
  unsigned joins = 0;
  int64_t joined_ms = 0;
  std::unique_ptr<Deadline> next_join = nullptr;  // null: it never waited
  bool waited_for_head = false;                   // in the current object
  bool is_paused = false;
  bool is_running = false;  // in proceed()
  bool must_restart = false;
};

}  // namespace streamgate
