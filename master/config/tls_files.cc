#include "master/config/tls_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "common/unique_fd.h"

namespace streamgate {
namespace {

constexpr size_t kMaxBytes = size_t{1024} * 1024;

Error failed(const std::string& path, const std::string& why) {
  return {Reason::internal, "cannot read " + path + ": " + why};
}

Result<std::string> read_file(const std::string& path) {
  // Non-blocking: a FIFO with that name must not hang a running master.
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0) return failed(path, std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return failed(path, "it is not a regular file");
  std::string out;
  std::array<char, size_t{16} * 1024> piece;
  while (true) {
    const ssize_t size = ::read(file.get(), piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failed(path, std::strerror(errno));
    if (size == 0) return out;
    out.append(piece.data(), static_cast<size_t>(size));
    if (out.size() > kMaxBytes) return failed(path, "it is larger than 1MiB");
  }
}

}  // namespace

Result<void> read_tls_files(Config& config) {
  for (ListenConfig& entry : config.listen) {
    if (!entry.tls || !entry.tls->key_pem.empty()) continue;
    auto certificate = read_file(entry.tls->certificate);
    if (!certificate) return certificate.error();
    auto key = read_file(entry.tls->key);
    if (!key) return key.error();
    entry.tls->certificate_pem = *std::move(certificate);
    entry.tls->key_pem = *std::move(key);
  }
  return {};
}

}  // namespace streamgate
