#include "worker/upstream/hosts_file.h"

#include <algorithm>

#include "common/ascii.h"

namespace streamgate {
const std::vector<IpAddress>* HostsFile::find(std::string_view name, int64_t now_ms) {
  if (watch_.has_changed(now_ms)) {
    names_.clear();
    parse(watch_.read());
  }
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : &found->second;
}

void HostsFile::parse(std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find('#'));
    const auto address = IpAddress::parse(ascii::take_word(line));
    if (!address) continue;  // a comment, or a link-local address with a zone
    for (auto name = ascii::take_word(line); !name.empty(); name = ascii::take_word(line)) {
      auto& addresses = names_[ascii::lower(name)];
      if (std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) {
        addresses.push_back(*address);
      }
    }
  }
}

}  // namespace streamgate
