// The part of ClientFetch for endless bodies: where a viewer begins, and how the body continues
// after the death of its owner.
//
// A body without a length may be a segment, and an audio segment begins like a radio station.
// Therefore a viewer who comes within kYoungMs of the beginning gets all of it. Such a viewer is as
// many seconds behind the newest byte, and fills its buffer at once. Only later viewers begin at
// the newest point.
//
// A film without a length (MP4, WebM, Ogg) is not shared: a decoder needs its first bytes, which a
// window soon loses, and a viewer who pauses would be cut as soon as another one is a window ahead.
#include <algorithm>
#include <chrono>
#include <utility>

#include "worker/cache/client_sharing.h"
#include "worker/fetch/reconnection.h"

namespace streamgate {
namespace {

// A viewer who comes so soon gets all of the body.
constexpr int64_t kYoungMs = 5'000;
// Before an endless body is requested anew although its upstream has just refused it. Doubles.
constexpr std::chrono::milliseconds kFirstWait{250};

// An upstream that counts connections may see only later that the last one has ended.
bool may_pass(int status) { return status == 403 || status == 429 || status >= 500; }

}  // namespace

bool ClientFetch::is_following() const {
  return sharing_->live != nullptr && !sharing_->live->is_attached_to(*sharing_->object);
}

// For an endless body whose owner has died, and which could not be requested again at once: tries
// later. False after too many tries.
bool ClientFetch::follow_later() {
  Sharing& sharing = *sharing_;
  if (sharing.joins >= most_joins()) return false;
  leave();
  if (sharing.next_join == nullptr) {
    sharing.next_join = std::make_unique<Deadline>(environment_.wheel, this, [](void* self) {
      auto& fetch = *static_cast<ClientFetch*>(self);
      const RequestScope scope(fetch.sharing_->note);
      fetch.join();
      fetch.proceed();
    });
  }
  sharing.next_join->arm(kFirstWait * (1U << (sharing.joins - 1)));
  return true;
}

void ClientFetch::begin_live(const std::shared_ptr<const StoredHead>& head) {
  Sharing& sharing = *sharing_;
  sharing.head = sharing.known_head = head;
  sharing.answer = std::make_unique<AnswerForClient>();
  sharing.answer->head = head->head;
  sharing.live = std::make_unique<LiveReader>();
  attach_live();
  const FetchFacts& facts = head->facts;
  if (!facts.is_redirected && facts.url != sharing.request.url) observer_.on_next_url();
  observer_.on_head(sharing.answer->head);
}

// A viewer who waited for the head gets all of the body, and so does one who comes soon after it,
// while there is time to read the first bytes. One whose last object broke gets all if this one has
// begun since then; else its first bytes would be a step back.
void ClientFetch::attach_live() {
  const Sharing& sharing = *sharing_;
  SharedObject& object = *sharing.object;
  const bool is_young =
      cache_->now_ms() - object.stored_ms() < kYoungMs && object.filled() <= object.live().size / 2;
  const bool gets_all = sharing.left_ms ? object.stored_ms() >= *sharing.left_ms
                                        : sharing.waited_for_head || is_young;
  sharing.live->attach(object, gets_all ? LiveReader::Begin::first : LiveReader::Begin::newest);
}

// After the death of its owner the body continues in another object, if that has the same media
// type.
bool ClientFetch::follow_live(const StoredHead& head) {
  Sharing& sharing = *sharing_;
  if (!is_following()) return true;
  const bool goes_on = sharing.object->is_window() &&
                       Reconnection(sharing.head->head, 0, 0).is_continued_by(head.head);
  if (!goes_on) {
    if (!may_pass(head.head.status) || !follow_later()) fail_as_changed();
    return false;
  }
  attach_live();
  return true;
}

bool ClientFetch::deliver_live() {
  Sharing& sharing = *sharing_;
  if (is_following()) return false;
  const uint64_t room = sharing.sink != nullptr ? sharing.sink->room() : Sharing::kPieceBytes;
  if (room == 0) return false;
  std::string scratch = std::exchange(cache_->live_scratch, {});
  const auto piece = sharing.live->next(std::min(room, Sharing::kPieceBytes), scratch);
  if (piece.is_moved) cache_->count_window_move();
  using Kind = LiveReader::Piece::Kind;
  if (piece.kind == Kind::bytes) {
    note_delivered(piece.bytes.size());
    observer_.on_body(piece.bytes);
  }
  cache_->live_scratch = std::move(scratch);
  switch (piece.kind) {
    case Kind::bytes:
      return true;
    case Kind::none:
      return false;
    case Kind::over:
      // Without a length the end is not that of the body.
      return sharing.object->filled() == sharing.object->length() && end();
    case Kind::behind:
      fail({Reason::client_too_slow, "the bytes that follow are no longer in the window"});
      return false;
    case Kind::unreadable:
      fail({Reason::internal, "the memory of a shared answer cannot be read"});
      return false;
  }
  return false;
}

}  // namespace streamgate
