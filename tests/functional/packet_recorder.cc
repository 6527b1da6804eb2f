// Makes a Streamgate log the event test.packet, with the address, for each connect() and sendto()
// to an Internet address. The linker exports these two definitions, so the program's shared
// libraries (libevent's DNS client among them) use them too.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "common/socket_address.h"

namespace {

void record(const sockaddr* address, socklen_t length) {
  if (address == nullptr || address->sa_family == AF_UNIX) return;
  const auto to = streamgate::SocketAddress::from_native(address, length);
  streamgate::log::info("test.packet", {{"address", to.to_string()}});
}

}  // namespace

extern "C" {

int connect(int fd, const sockaddr* address, socklen_t length) {
  record(address, length);
  return static_cast<int>(::syscall(SYS_connect, fd, address, length));
}

ssize_t sendto(int fd, const void* data, size_t size, int flags, const sockaddr* address,
               socklen_t length) {
  record(address, length);
  return ::syscall(SYS_sendto, fd, data, size, flags, address, length);
}

}  // extern "C"
