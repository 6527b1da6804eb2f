// Makes a Streamgate fail where its C library receives certain bytes, as a defect in a parser
// would: `poison: crash` raises SIGSEGV, `poison: hang` is an endless loop. The linker
// exports this definition, so the program's shared libraries use it too.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <string_view>

extern "C" ssize_t recv(int fd, void* data, size_t size, int flags) {
  const ssize_t received = ::syscall(SYS_recvfrom, fd, data, size, flags, nullptr, nullptr);
  if (received <= 0) return received;
  const std::string_view bytes(static_cast<const char*>(data), static_cast<size_t>(received));
  if (bytes.find("poison: crash") != bytes.npos) std::raise(SIGSEGV);
  if (bytes.find("poison: hang") != bytes.npos) {
    static volatile bool hangs = true;
    while (hangs) {
    }
  }
  return received;
}
