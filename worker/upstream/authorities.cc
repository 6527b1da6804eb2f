#include "worker/upstream/authorities.h"

#include <dirent.h>
#include <openssl/err.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>

#include "common/ascii.h"

namespace streamgate {
namespace {

// A static binary may have been built with another OPENSSLDIR than the distribution's.
constexpr const char* kBundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // RHEL 7 and later
    "/etc/ssl/ca-bundle.pem",                             // openSUSE
    "/etc/pki/tls/cacert.pem",                            // OpenELEC
    "/etc/ssl/cert.pem",                                  // Alpine
    "/usr/lib/ssl/cert.pem",
};
constexpr const char* kDirectories[] = {"/etc/ssl/certs", "/etc/pki/tls/certs"};

int kNoAuthorities = 0;  // its address marks a context

bool holds_certificates(SSL_CTX& context) {
  return sk_X509_OBJECT_num(X509_STORE_get0_objects(SSL_CTX_get_cert_store(&context))) > 0;
}

// `5ad8a5d6.0`: OpenSSL finds a certificate in a directory by the hash of its name.
bool is_hashed_name(std::string_view name) {
  constexpr size_t kHashDigits = 8;
  if (name.size() < kHashDigits + 2 || name[kHashDigits] != '.') return false;
  for (const char c : name.substr(0, kHashDigits)) {
    if (!ascii::is_digit(c) && !(c >= 'a' && c <= 'f')) return false;
  }
  return ascii::is_digit(name[kHashDigits + 1]);
}

bool has_hashed_files(const std::string& directory) {
  const std::unique_ptr<DIR, Freer<::closedir>> open(::opendir(directory.c_str()));
  if (!open) return false;
  while (const dirent* entry = ::readdir(open.get())) {
    if (is_hashed_name(entry->d_name)) return true;
  }
  return false;
}

// SSL_CERT_DIR is a list, as PATH is.
bool any_has_hashed_files(std::string_view directories) {
  while (!directories.empty()) {
    const size_t end = std::min(directories.find(':'), directories.size());
    if (has_hashed_files(std::string(directories.substr(0, end)))) return true;
    directories.remove_prefix(std::min(end + 1, directories.size()));
  }
  return false;
}

bool load_known_bundle(SSL_CTX& context) {
  for (const char* file : kBundles) {
    if (SSL_CTX_load_verify_file(&context, file) == 1) return true;
  }
  for (const char* directory : kDirectories) {
    if (has_hashed_files(directory) && SSL_CTX_load_verify_dir(&context, directory) == 1) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::vector<std::string> authority_paths() {
  const char* file = std::getenv(X509_get_default_cert_file_env());
  const char* directory = std::getenv(X509_get_default_cert_dir_env());
  std::vector<std::string> paths(std::begin(kBundles), std::end(kBundles));
  paths.insert(paths.end(), std::begin(kDirectories), std::end(kDirectories));
  paths.emplace_back(file != nullptr ? file : X509_get_default_cert_file());
  std::string_view rest(directory != nullptr ? directory : X509_get_default_cert_dir());
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    paths.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return paths;
}

Result<void> load_authorities(SSL_CTX& context, const std::string& ca_file) {
  if (!ca_file.empty()) {
    if (SSL_CTX_load_verify_file(&context, ca_file.c_str()) != 1) return tls_error(ca_file);
    return {};
  }
  if (SSL_CTX_set_default_verify_paths(&context) != 1) return tls_error("the system's CAs");
  const char* file = std::getenv(X509_get_default_cert_file_env());
  const char* directory = std::getenv(X509_get_default_cert_dir_env());
  const bool has_some =
      holds_certificates(context) ||
      any_has_hashed_files(directory != nullptr ? directory : X509_get_default_cert_dir());
  const bool may_search = file == nullptr && directory == nullptr;
  if (!has_some && !(may_search && load_known_bundle(context))) {
    SSL_CTX_set_app_data(&context, &kNoAuthorities);
  }
  ERR_clear_error();
  return {};
}

bool has_authorities(const SSL_CTX& context) {
  return SSL_CTX_get_app_data(&context) != &kNoAuthorities;
}

}  // namespace streamgate
