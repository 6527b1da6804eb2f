#include "master/config/tls_files.h"

#include <string>

#include "common/file.h"

namespace streamgate {
namespace {

constexpr size_t kMaxBytes = size_t{1024} * 1024;
constexpr size_t kMinSecretBytes = 32;

Result<std::string> read_pem(const std::string& path) {
  auto text = read_file(path, kMaxBytes);
  if (!text) return Error{Reason::internal, "cannot read " + text.error().detail};
  return text;
}

Result<Secret> read_secret(const TokenKey& key) {
  auto text = read_pem(key.secret_file);
  if (!text) return std::move(text).error();
  std::string_view secret = *text;
  while (secret.ends_with('\n') || secret.ends_with('\r')) secret.remove_suffix(1);
  Result<Secret> result = Secret(secret);
  if (secret.size() < kMinSecretBytes) {
    result = Error{Reason::internal,
                   "security.keys: " + key.id + ": " + key.secret_file + " has less than 32 bytes"};
  }
  wipe(*text);
  return result;
}

Result<void> read_token_keys(SecurityConfig& security) {
  for (TokenKey& key : security.keys) {
    if (!key.secret_file.empty() && key.secret.empty()) {
      auto secret = read_secret(key);
      if (!secret) return std::move(secret).error();
      key.secret = *std::move(secret);
    }
    if (!key.public_key_file.empty() && key.public_key_pem.empty()) {
      auto pem = read_pem(key.public_key_file);
      if (!pem) return std::move(pem).error();
      key.public_key_pem = *std::move(pem);
    }
  }
  return {};
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
  return read_token_keys(config.security);
}

}  // namespace streamgate
