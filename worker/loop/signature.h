// Digests, message authentication codes and signatures, by OpenSSL.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "worker/loop/event.h"

namespace streamgate {

// HMAC-SHA256 (RFC 2104), 32 bytes.
std::string hmac_sha256(std::string_view key, std::string_view text);
// The same for many texts with one key. Preparing the key costs several times the MAC of a short
// text, and is done once.
class HmacKey {
 public:
  explicit HmacKey(std::string_view key);

  std::string mac_of(std::string_view text) const;

 private:
  std::unique_ptr<EVP_MAC_CTX, Freer<EVP_MAC_CTX_free>> context_;
};
// The same as 64 lower-case hexadecimal digits.
std::string hmac_sha256_in_hex(std::string_view key, std::string_view text);

// SHA-256, 32 bytes.
std::array<unsigned char, 32> sha256(std::string_view text);
// The first 16 bytes of it.
std::string short_digest(std::string_view text);
// A digest in lower-case hexadecimal digits. nullopt if OpenSSL's configuration forbids the
// function.
enum class HashFunction { md5, sha256 };
std::optional<std::string> hash_in_hex(HashFunction function, std::string_view text);

// Whether the texts are equal. The time that it takes depends on their lengths only.
bool equal_in_constant_time(std::string_view one, std::string_view other);

// A public key that verifies signatures of JWS (RFC 7518 3.4, RFC 8037).
class PublicKey {
 public:
  enum class Kind { p256, ed25519 };

  // nullopt if `pem` holds no public key of this kind.
  static std::optional<PublicKey> parse(std::string_view pem, Kind kind);

  // `signature` as JWS has it: r and s of 32 bytes each, or 64 bytes of Ed25519.
  bool verify(std::string_view text, std::string_view signature) const;

 private:
  using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

  PublicKey(Key key, Kind kind) : key_(std::move(key)), kind_(kind) {}

  Key key_;
  Kind kind_;
};

}  // namespace streamgate
