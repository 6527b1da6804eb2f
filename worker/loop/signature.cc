#include "worker/loop/signature.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/pem.h>

#include <array>
#include <memory>
#include <span>

#include "common/check.h"
#include "common/hex.h"

namespace streamgate {
namespace {

constexpr size_t kSignatureBytes = 64;
constexpr size_t kShortDigestBytes = 16;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string text_of(const unsigned char* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// OpenSSL verifies ECDSA signatures in DER.
std::string der_of(std::string_view signature) {
  const std::unique_ptr<ECDSA_SIG, Freer<ECDSA_SIG_free>> pair(ECDSA_SIG_new());
  CHECK(pair);
  constexpr int kHalf = kSignatureBytes / 2;
  BIGNUM* r = BN_bin2bn(bytes_of(signature), kHalf, nullptr);
  BIGNUM* s = BN_bin2bn(bytes_of(signature) + kHalf, kHalf, nullptr);
  CHECK(r != nullptr && s != nullptr && ECDSA_SIG_set0(pair.get(), r, s) == 1);  // owns both
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &der);
  CHECK(size > 0);
  std::string out = text_of(der, static_cast<size_t>(size));
  OPENSSL_free(der);
  return out;
}

bool is_p256(const EVP_PKEY* key) {
  std::array<char, 64> group{};
  size_t size = 0;
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) == 1 &&
         std::string_view(group.data(), size) == "prime256v1";
}

}  // namespace

std::string hmac_sha256(std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(text), text.size(),
             digest.data(), &size) != nullptr);
  return text_of(digest.data(), size);
}

HmacKey::HmacKey(std::string_view key) {
  const std::unique_ptr<EVP_MAC, Freer<EVP_MAC_free>> hmac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  CHECK(hmac);
  context_.reset(EVP_MAC_CTX_new(hmac.get()));
  std::string digest = "SHA256";
  const std::array parameters{
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  CHECK(context_ &&
        EVP_MAC_init(context_.get(), bytes_of(key), key.size(), parameters.data()) == 1);
}

std::string HmacKey::mac_of(std::string_view text) const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  size_t size = 0;
  // Without a key: the context keeps its own.
  CHECK(EVP_MAC_init(context_.get(), nullptr, 0, nullptr) == 1 &&
        EVP_MAC_update(context_.get(), bytes_of(text), text.size()) == 1 &&
        EVP_MAC_final(context_.get(), digest.data(), &size, digest.size()) == 1);
  return text_of(digest.data(), size);
}

std::string hmac_sha256_in_hex(std::string_view key, std::string_view text) {
  const std::string mac = hmac_sha256(key, text);
  return in_hex({bytes_of(mac), mac.size()});
}

std::array<unsigned char, 32> sha256(std::string_view text) {
  // EVP_Digest() looks the algorithm up and makes a context for each text, which costs more than
  // the digest of a short one.
  static const std::unique_ptr<EVP_MD, Freer<EVP_MD_free>> algorithm(
      EVP_MD_fetch(nullptr, "SHA256", nullptr));
  static const std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  std::array<unsigned char, 32> digest;
  CHECK(EVP_DigestInit_ex2(context.get(), algorithm.get(), nullptr) == 1 &&
        EVP_DigestUpdate(context.get(), text.data(), text.size()) == 1 &&
        EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1);
  return digest;
}

std::string short_digest(std::string_view text) {
  return text_of(sha256(text).data(), kShortDigestBytes);
}

std::optional<std::string> hash_in_hex(HashFunction function, std::string_view text) {
  const EVP_MD* const algorithm = function == HashFunction::md5 ? EVP_md5() : EVP_sha256();
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, algorithm, nullptr) != 1) {
    ERR_clear_error();
    return std::nullopt;
  }
  return in_hex(std::span(digest).first(size));
}

bool equal_in_constant_time(std::string_view one, std::string_view other) {
  return one.size() == other.size() && CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

std::optional<PublicKey> PublicKey::parse(std::string_view pem, Kind kind) {
  const std::unique_ptr<BIO, Freer<BIO_free_all>> source(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  CHECK(source);
  Key key(PEM_read_bio_PUBKEY(source.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!key) return std::nullopt;
  const bool fits =
      kind == Kind::p256 ? is_p256(key.get()) : EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_ED25519;
  if (!fits) return std::nullopt;
  return PublicKey(std::move(key), kind);
}

bool PublicKey::verify(std::string_view text, std::string_view signature) const {
  if (signature.size() != kSignatureBytes) return false;
  const std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  CHECK(context);
  const bool is_ecdsa = kind_ == Kind::p256;
  const std::string raw = is_ecdsa ? der_of(signature) : std::string(signature);
  const EVP_MD* const digest = is_ecdsa ? EVP_sha256() : nullptr;
  CHECK(EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key_.get()) == 1);
  const int verdict =
      EVP_DigestVerify(context.get(), bytes_of(raw), raw.size(), bytes_of(text), text.size());
  ERR_clear_error();
  return verdict == 1;
}

}  // namespace streamgate
