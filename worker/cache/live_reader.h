// The position of one viewer in an endless body. It begins at the newest point where a decoder can
// begin, with the tables that the decoder needs. If it falls behind the window, it continues at
// such a point, or ends. It only moves forward.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "worker/cache/live_memory.h"
#include "worker/cache/shared_object.h"

namespace streamgate {

class LiveReader {
 public:
  // first: at the first byte, if it is still there. newest: at the newest point.
  enum class Begin { first, newest };

  // The object is a window, and its head is there.
  void attach(SharedObject& object, Begin begin);
  void detach() { object_ = nullptr; }
  bool is_attached_to(const SharedObject& object) const { return object_ == &object; }

  // none: nothing is there yet. over: all is read, and nothing follows. behind: the bytes that
  // follow are gone, and the format has no other point. unreadable: the owner has written
  // impossible values.
  struct Piece {
    enum class Kind { bytes, none, over, behind, unreadable };
    Kind kind = Kind::none;
    std::string_view bytes = {};  // into `scratch` or into the ring; until the next turn
    bool is_moved = false;        // bytes of the body are left out before this piece
  };
  // The next bytes: `most` at most, or one packet, and tables in front. A piece in `scratch` is a
  // copy, which the owner cannot overwrite.
  Piece next(uint64_t most, std::string& scratch);

 private:
  // What the owner has filled, at one moment.
  struct Filled {
    uint64_t end = 0;
    bool is_last = false;  // nothing will follow
  };

  void begin(const LiveMemory& memory);
  void go_to(const std::optional<LivePoint>& point);
  bool go_on_at_point(const LiveMemory& memory);
  uint64_t next_size(uint64_t most, const Filled& filled, const SharedObject::Live& live) const;

  SharedObject* object_ = nullptr;
  Begin begin_at_ = Begin::newest;
  bool has_begun_ = false;
  bool has_read_ = false;
  bool is_moved_ = false;
  uint64_t position_ = 0;
  std::string tables_;  // to be sent before position_
};

}  // namespace streamgate
