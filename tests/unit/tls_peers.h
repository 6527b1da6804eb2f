// TLS servers for upstream tests: certificates made at run time, and a server thread that does the
// handshake and then calls a function of the test. Loopback only.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "common/socket_address.h"
#include "common/unique_fd.h"
#include "tests/unit/loopback.h"
#include "worker/loop/event.h"
#include "worker/loop/openssl.h"

namespace streamgate::testing_peers {

// A self-signed certificate for `names` ("DNS:a.test,IP:127.0.0.1") and its key. Its file is also
// the CA file that makes it trusted.
class TlsIdentity {
 public:
  explicit TlsIdentity(const std::string& names)
      : key_(EVP_EC_gen("P-256"), &EVP_PKEY_free), certificate_(X509_new(), &X509_free) {
    X509* x509 = certificate_.get();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key_.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    X509_EXTENSION* extension =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    EXPECT_NE(extension, nullptr);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
    X509_sign(x509, key_.get(), EVP_sha256());
    path_ = ::testing::TempDir() + "streamgate_" + std::to_string(::getpid()) + "_" +
            std::to_string(++count()) + ".pem";
    std::FILE* file = std::fopen(path_.c_str(), "w");
    PEM_write_X509(file, x509);
    std::fclose(file);
  }
  ~TlsIdentity() { std::filesystem::remove(path_); }
  TlsIdentity(const TlsIdentity&) = delete;
  TlsIdentity& operator=(const TlsIdentity&) = delete;

  const std::string& ca_file() const { return path_; }
  std::string key_pem() const {
    const std::unique_ptr<BIO, Freer<BIO_free>> out(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(out.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    char* text = nullptr;
    const auto size = static_cast<size_t>(BIO_get_mem_data(out.get(), &text));
    return {text, size};
  }
  void use(SSL_CTX* context) const {
    SSL_CTX_use_certificate(context, certificate_.get());
    SSL_CTX_use_PrivateKey(context, key_.get());
  }

 private:
  static int& count() {
    static int made = 0;
    return made;
  }
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::unique_ptr<X509, decltype(&X509_free)> certificate_;
  std::string path_;
};

// Accepts `count` connections, one after the other, in a thread of its own. `serve` gets each one
// after its handshake and decides how it ends.
class TlsServer {
 public:
  using Serve = std::function<void(SSL* ssl, int fd)>;

  TlsServer(const TlsIdentity& identity, int count, Serve serve, int highest_version = 0)
      : context_(SSL_CTX_new(TLS_server_method())),
        fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
        serve_(std::move(serve)) {
    ::signal(SIGPIPE, SIG_IGN);
    identity.use(context_.get());
    SSL_CTX_set_security_level(context_.get(), 0);
    if (highest_version != 0) SSL_CTX_set_max_proto_version(context_.get(), highest_version);
    address_ = bind_to_loopback(fd_.get());
    EXPECT_EQ(::listen(fd_.get(), 16), 0);
    thread_ = std::thread([this, count] { run(count); });
  }
  ~TlsServer() {
    ::shutdown(fd_.get(), SHUT_RDWR);  // wakes accept()
    thread_.join();
  }
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  const SocketAddress& address() const { return address_; }

  std::atomic<int> handshakes{0};
  std::atomic<int> resumed{0};
  std::atomic<bool> saw_name{false};

 private:
  void run(int count) {
    for (int i = 0; i < count; ++i) {
      const UniqueFd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd.valid()) return;
      const timeval limit{5, 0};
      ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      const Ssl ssl(SSL_new(context_.get()));
      SSL_set_fd(ssl.get(), fd.get());
      if (SSL_accept(ssl.get()) != 1) continue;
      ++handshakes;
      if (SSL_session_reused(ssl.get()) == 1) ++resumed;
      if (SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name) != nullptr) saw_name = true;
      serve_(ssl.get(), fd.get());
    }
  }

  SslContext context_;
  UniqueFd fd_;
  Serve serve_;
  SocketAddress address_;
  std::thread thread_;
};

// Reads up to the end of a request head; false if the other side has gone.
inline bool read_request(SSL* ssl) {
  std::string head;
  while (head.find("\r\n\r\n") == std::string::npos) {
    char bytes[1024];
    const int got = SSL_read(ssl, bytes, sizeof bytes);
    if (got <= 0) return false;
    head.append(bytes, static_cast<size_t>(got));
  }
  return true;
}

inline void write_all(SSL* ssl, const std::string& bytes) {
  SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace streamgate::testing_peers
