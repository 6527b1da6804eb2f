// The namespaces of an MPD's elements. Several prefixes may mean the namespace of the MPD, and one
// prefix may mean another namespace in other elements.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace streamgate {

class MpdNamespaces {
 public:
  // First call for each document.
  void begin();

  // Called for each element that starts, with its depth. False: the document declares too many
  // prefixes.
  //
  // The outermost element of the MPD, or of a part of it, is of the MPD in any namespace.
  bool start_outermost(std::string_view name, const char** attributes, size_t depth);
  bool start_element(const char** attributes, size_t depth);
  void end_element(size_t depth);

  // Whether an element of that name, at this place, is of the MPD: its namespace is that of the
  // outermost element or one of DASH, or it has none. Programs write `xmlns=""` into an MPD by
  // mistake, and players ignore it. They take an element without a prefix for one of the MPD in any
  // default namespace, so it is one here if the outermost element has no prefix. A prefix that is
  // not declared is of the MPD only if the outermost element has it.
  bool is_of_mpd(std::string_view name) const;

  // Of the outermost element: `` or `mpd:`.
  std::string_view outermost_prefix() const { return outermost_prefix_; }
  size_t memory() const {
    return bindings_.capacity() * sizeof(Binding) + outermost_prefix_.capacity() +
           outermost_.capacity();
  }

 private:
  struct Binding {
    size_t depth;
    std::string prefix;  // with its colon
    bool is_of_mpd;
  };
  static constexpr size_t kMaxBindings = 64;  // an element with a prefix searches them all
  static constexpr size_t kMaxPrefixBytes = 256;

  const Binding* find(std::string_view prefix) const;
  bool has_prefix_of_mpd(std::string_view prefix) const;
  bool bind(std::string_view prefix, bool is_of_mpd, size_t depth);
  bool is_namespace_of_mpd(std::string_view uri) const;

  std::string outermost_prefix_;
  std::string outermost_;  // the namespace of that element
  std::vector<Binding> bindings_;
  bool is_default_of_mpd_ = true;  // has_prefix_of_mpd(``)
};

}  // namespace streamgate
