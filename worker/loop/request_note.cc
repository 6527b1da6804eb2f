#include "worker/loop/request_note.h"

#include <algorithm>
#include <cstring>

namespace streamgate {
namespace {

ServedRequest nowhere;

}  // namespace

namespace request_note_detail {

State state{&nowhere};

// A crash during the copy leaves a mixed text, which the master prints like any other text.
void show(const RequestNote& note) {
  ServedRequest& memory = *state.memory;
  memory.step = note.step_;
  memory.size = note.size_;
  std::memcpy(memory.text.data(), note.text_.data(), note.size_);
  state.shown = &note;
}

}  // namespace request_note_detail

using request_note_detail::state;

RequestNote::RequestNote(std::string_view client, std::string_view id, std::string_view method) {
  constexpr size_t kMaxClientBytes = 128;
  constexpr size_t kMaxIdBytes = 36;
  constexpr size_t kMaxMethodBytes = 16;
  size_t size = 0;
  const auto add = [&](std::string_view word) {
    std::memcpy(text_.data() + size, word.data(), word.size());
    size += word.size();
  };
  add(client.substr(0, kMaxClientBytes));
  if (!id.empty()) {
    add(" id=");
    add(id.substr(0, kMaxIdBytes));
  }
  if (!method.empty()) {
    add(" ");
    add(method.substr(0, kMaxMethodBytes));
  }
  size_ = target_at_ = static_cast<uint16_t>(size);
}

RequestNote::~RequestNote() {
  if (state.shown == this) state.shown = nullptr;  // another note may get this address
}

void RequestNote::set_target(std::string_view url) {
  const size_t start = target_at_ + 1U;
  const size_t taken = std::min(url.size(), kMaxBytes - start);
  text_[target_at_] = ' ';
  std::memcpy(text_.data() + start, url.data(), taken);
  size_ = static_cast<uint16_t>(start + taken);
  is_cut_ = taken < url.size();
  if (state.current == this) {
    request_note_detail::show(*this);
  } else if (state.shown == this) {
    state.shown = nullptr;
  }
}

std::string_view RequestNote::whole_target() const {
  if (is_cut_ || size_ == target_at_) return {};
  return std::string_view(text_.data(), size_).substr(target_at_ + 1U);
}

void show_notes_in(ServedRequest& memory) { state.memory = &memory; }

void note_step(const StepText& step) {
  if (state.current == nullptr) return;
  // The owner of a note makes it current, and the owner is not const.
  const_cast<RequestNote*>(state.current)->step_ = step;
  if (state.shown == state.current) state.memory->step = step;
}

}  // namespace streamgate
