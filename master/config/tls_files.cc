#include "master/config/tls_files.h"

#include <string>

#include "common/file.h"

namespace streamgate {
namespace {

constexpr size_t kMaxBytes = size_t{1024} * 1024;

Result<std::string> read_pem(const std::string& path) {
  auto text = read_file(path, kMaxBytes);
  if (!text) return Error{Reason::internal, "cannot read " + text.error().detail};
  return text;
}

}  // namespace

Result<void> read_tls_files(Config& config) {
  for (ListenConfig& entry : config.listen) {
    if (!entry.tls || !entry.tls->key_pem.empty()) continue;
    auto certificate = read_pem(entry.tls->certificate);
    if (!certificate) return certificate.error();
    auto key = read_pem(entry.tls->key);
    if (!key) return key.error();
    entry.tls->certificate_pem = *std::move(certificate);
    entry.tls->key_pem = *key;
    wipe(*key);
  }
  return {};
}

}  // namespace streamgate
