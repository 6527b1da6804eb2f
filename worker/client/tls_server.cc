#include "worker/client/tls_server.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <memory>
#include <string>
#include <string_view>

#include "common/check.h"
#include "worker/loop/openssl.h"

namespace streamgate {
namespace {

using Bio = std::unique_ptr<BIO, Freer<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

constexpr unsigned char kProtocols[] = "\x08http/1.1\x08http/1.0";

Error refused(const std::string& file, const std::string& what) {
  const std::string why = take_tls_errors();
  return {Reason::tls_failed, file + ": " + what + (why.empty() ? "" : ": " + why)};
}

Bio reader_of(std::string_view text) {
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  CHECK(bio);
  return bio;
}

// Whether the last read from a PEM text failed because the text has no further block.
bool is_at_end() {
  const unsigned long error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

// The server's own certificate, then the chain to the root.
Result<void> use_certificates(SSL_CTX& context, const ListenTls& config) {
  const Bio text = reader_of(config.certificate_pem);
  const Certificate own(PEM_read_bio_X509_AUX(text.get(), nullptr, nullptr, nullptr));
  if (!own) {
    if (!is_at_end()) return refused(config.certificate, "is not a PEM certificate");
    ERR_clear_error();
    return refused(config.certificate, "holds no certificate");
  }
  if (SSL_CTX_use_certificate(&context, own.get()) != 1) {
    return refused(config.certificate, "cannot be used");
  }
  while (true) {
    const Certificate next(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
    if (!next) break;
    if (SSL_CTX_add1_chain_cert(&context, next.get()) != 1) {
      return refused(config.certificate, "its chain cannot be used");
    }
  }
  if (!is_at_end()) return refused(config.certificate, "its chain is damaged");
  ERR_clear_error();
  return {};
}

// Without this callback OpenSSL asks on the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*for_writing*/, void* /*unused*/) {
  return -1;
}

Result<void> use_key(SSL_CTX& context, const ListenTls& config) {
  const Bio text = reader_of(config.key_pem.view());
  const PrivateKey key(PEM_read_bio_PrivateKey(text.get(), nullptr, &no_passphrase, nullptr));
  if (!key) {
    const bool is_encrypted = config.key_pem.view().find("ENCRYPTED") != std::string_view::npos;
    return refused(config.key, is_encrypted ? "is encrypted; a key without passphrase is needed"
                                            : "is not a PEM private key");
  }
  if (SSL_CTX_use_PrivateKey(&context, key.get()) != 1 ||
      SSL_CTX_check_private_key(&context) != 1) {
    return refused(config.key, "is not the key of " + config.certificate);
  }
  return {};
}

int choose_protocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_length,
                    const unsigned char* offered, unsigned int offered_length, void* /*unused*/) {
  unsigned char* chosen = nullptr;
  const int found = SSL_select_next_proto(&chosen, out_length, kProtocols, sizeof kProtocols - 1,
                                          offered, offered_length);
  *out = chosen;
  // A client that offers neither gets no_application_protocol (RFC 7301 3.2).
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

Result<SslContext> make_server_context(const ListenTls& config, const TicketKey& ticket_key) {
  ERR_clear_error();
  SslContext context(SSL_CTX_new(TLS_server_method()));
  if (!context) return refused(config.certificate, "no TLS context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // TLS 1.3 has nothing else.
  CHECK(SSL_CTX_set_cipher_list(context.get(), "ECDHE+AESGCM:ECDHE+CHACHA20") == 1);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_PRIORITIZE_CHACHA);
  // Allows a partial write to continue from another address: the queue of ClientStream.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Sessions are kept only in tickets, so that every worker can resume them.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 1);
  // OpenSSL copies the key; its parameter is not const.
  CHECK(SSL_CTX_set_tlsext_ticket_keys(context.get(), const_cast<unsigned char*>(ticket_key.data()),
                                       ticket_key.size()) == 1);
  SSL_CTX_set_alpn_select_cb(context.get(), &choose_protocol, nullptr);
  if (auto used = use_certificates(*context, config); !used) return used.error();
  if (auto used = use_key(*context, config); !used) return used.error();
  ERR_clear_error();
  return context;
}

int64_t certificate_expiry(const SSL_CTX& context) {
  const X509* certificate = SSL_CTX_get0_certificate(&context);
  tm parts{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) {
    return 0;
  }
  return ::timegm(&parts);
}

Ssl make_server_tls(SSL_CTX& context, int fd) {
  ERR_clear_error();
  Ssl ssl(SSL_new(&context));
  if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) return nullptr;
  SSL_set_accept_state(ssl.get());
  return ssl;
}

}  // namespace streamgate
