// For execve(): descriptors that survive it, and its arrays of texts. Runs in the master, and in
// the child that becomes a trial.
#pragma once

#include <fcntl.h>

#include <string>
#include <utility>
#include <vector>

namespace streamgate {

// Pointers to the texts and a null at the end. Valid as long as `texts` is.
inline std::vector<char*> exec_array(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// While it lives, these descriptors survive an execve(). Afterwards, when execve() has failed, they
// are close-on-exec again.
class Inheritable {
 public:
  explicit Inheritable(std::vector<int> descriptors) : descriptors_(std::move(descriptors)) {
    for (const int fd : descriptors_) ::fcntl(fd, F_SETFD, 0);
  }
  Inheritable(const Inheritable&) = delete;
  Inheritable& operator=(const Inheritable&) = delete;
  ~Inheritable() {
    for (const int fd : descriptors_) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }

 private:
  std::vector<int> descriptors_;
};

}  // namespace streamgate
