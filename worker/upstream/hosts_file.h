// The machine's hosts file as a map from names to addresses, read again when it has changed.
//
// It reads a local file, at most once a second and at most 1 MiB of it.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/ip_address.h"

namespace streamgate {

// Lets maps with std::string keys be asked with a string_view, without an allocation.
struct NameHash {
  using is_transparent = void;
  size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
};
template <class Value>
using NameMap = std::unordered_map<std::string, Value, NameHash, std::equal_to<>>;

class HostsFile {
 public:
  explicit HostsFile(std::string path) : path_(std::move(path)) {}

  // All addresses of `name` (lower case) in the file's order, or nullptr. Valid until the next
  // call. A file that cannot be read is an empty one.
  const std::vector<IpAddress>* find(std::string_view name, int64_t now_ms);

 private:
  void refresh(int64_t now_ms);
  void parse(std::string_view text);

  std::string path_;
  NameMap<std::vector<IpAddress>> names_;
  struct stat seen_ {};
  int64_t next_look_ms_ = 0;
};

}  // namespace streamgate
