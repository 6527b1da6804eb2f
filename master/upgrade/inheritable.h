// What execve() needs: descriptors that survive it, and texts in the form that it takes.
// Used by the master and by the child that becomes a trial.
#pragma once

#include <fcntl.h>

#include <string>
#include <utility>
#include <vector>

namespace streamgate {

// Pointers to them and a null behind; valid as long as `texts` is.
inline std::vector<char*> exec_array(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// These descriptors survive the next execve() for as long as this object lives: they are
// close-on-exec again after it, should the execve() have failed.
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
