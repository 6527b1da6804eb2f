// Descriptors that survive the next execve(), for as long as this object lives: they are
// close-on-exec again after it, should the execve() have failed.
#pragma once

#include <fcntl.h>

#include <utility>
#include <vector>

namespace streamgate {

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
