// A text that must not leak: the PEM text of a private key. It has pages of its own, which are not
// in core dumps, are locked in memory where the limit for locked memory allows it, and are
// overwritten when the last copy is destroyed.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace streamgate {

class Secret {
 public:
  Secret() = default;
  // NOLINTBEGIN(google-explicit-constructor): a value like a string
  Secret(std::string_view text);
  Secret(const std::string& text) : Secret(std::string_view(text)) {}
  Secret(const char* text) : Secret(std::string_view(text)) {}
  // NOLINTEND(google-explicit-constructor)

  // Valid until wipe(), or until the last copy is destroyed.
  std::string_view view() const;
  bool empty() const { return view().empty(); }
  // Overwrites the text; all copies in this process are then empty. A process that was forked
  // before keeps its text.
  void wipe() const;

  bool operator==(const Secret& other) const { return view() == other.view(); }

 private:
  struct Block;
  std::shared_ptr<Block> block_;  // shared by copies; null: empty
};

// Overwrites a text that held a secret, and empties it.
void wipe(std::string& text);

}  // namespace streamgate
