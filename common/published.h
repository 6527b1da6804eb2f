// A value in shared memory that one process writes and every process may read, without a lock. A
// sequence number shows a reader that the value has changed while it was copied; the reader then
// tries again. A writer that is killed in the middle leaves a value that no reader accepts. All
// zero: there is no value.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <type_traits>

namespace streamgate {

template <class T>
class Published {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  // Called by the owner only.
  void put(const T& value) {
    Words words{};
    std::memcpy(words.data(), &value, sizeof value);
    const uint64_t odd = sequence_.load(std::memory_order_relaxed) | 1U;
    sequence_.store(odd, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    for (size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_relaxed);
    sequence_.store(odd + 1, std::memory_order_release);
  }

  // None if there is no value, or if it changes too often to be read.
  std::optional<T> get() const {
    constexpr int kAttempts = 100;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const uint64_t before = sequence_.load(std::memory_order_acquire);
      if (before == 0) return std::nullopt;
      Words words;
      for (size_t i = 0; i < kWords; ++i) words[i] = words_[i].load(std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (before % 2 != 0 || sequence_.load(std::memory_order_relaxed) != before) continue;
      T value;
      std::memcpy(static_cast<void*>(&value), words.data(), sizeof value);
      return value;
    }
    return std::nullopt;
  }

 private:
  static constexpr size_t kWords = (sizeof(T) + 7) / 8;
  using Words = std::array<uint64_t, kWords>;

  std::atomic<uint64_t> sequence_{0};  // odd while the value is written
  std::array<std::atomic<uint64_t>, kWords> words_{};
};

// A text of at most N bytes, for a Published value. A longer text is cut.
template <size_t N>
struct FixedText {
  std::array<char, N> bytes{};  // the rest is NUL

  FixedText() = default;
  explicit FixedText(std::string_view text) { text.substr(0, N).copy(bytes.data(), N); }
  std::string_view view() const {
    const std::string_view all(bytes.data(), N);
    return all.substr(0, all.find('\0'));
  }
};

}  // namespace streamgate
