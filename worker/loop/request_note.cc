#include "worker/loop/request_note.h"

#include <algorithm>
#include <atomic>
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

RequestNote::RequestNote(std::string_view client, std::string_view method) {
  constexpr size_t kMaxClientBytes = 128;
  constexpr size_t kMaxMethodBytes = 16;
  client = client.substr(0, kMaxClientBytes);
  method = method.substr(0, kMaxMethodBytes);
  std::memcpy(text_.data(), client.data(), client.size());
  size_t size = client.size();
  if (!method.empty()) {
    text_[size++] = ' ';
    std::memcpy(text_.data() + size, method.data(), method.size());
    size += method.size();
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
