#include "worker/fetch/digest.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "common/ascii.h"
#include "common/check.h"
#include "worker/http/base64.h"
#include "worker/http/grammar.h"

namespace streamgate {
namespace {

constexpr std::string_view kBasic = "Basic ";
constexpr std::string_view kDigest = "Digest";
constexpr size_t kMaxChallengeBytes = size_t{4} * 1024;

void skip(std::string_view separators, std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(separators), text.size()));
}

std::string_view take_token(std::string_view& text) {
  const std::string_view token = text.substr(0, http::token_size(text));
  text.remove_prefix(token.size());
  return token;
}

// A token, or a quoted string without its quotes and escapes (RFC 9110 5.6.4).
std::string take_value(std::string_view& text) {
  if (!text.starts_with('"')) {
    // Some servers do not quote values that are no token: base64 has `=`.
    const std::string_view value = text.substr(0, text.find_first_of(", \t"));
    text.remove_prefix(value.size());
    return std::string(value);
  }
  std::string value;
  size_t at = 1;
  for (; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\' && at + 1 < text.size()) ++at;
    value += text[at];
  }
  text.remove_prefix(std::min(at + 1, text.size()));
  return value;
}

// One parameter `name=value`. False: `text` begins with another scheme, or is malformed.
bool take_parameter(std::string_view& text, std::string_view& name, std::string& value) {
  std::string_view rest = text;
  name = take_token(rest);
  skip(" \t", rest);
  if (name.empty() || !rest.starts_with('=')) return false;
  rest.remove_prefix(1);
  skip(" \t", rest);
  value = take_value(rest);
  text = rest;
  return true;
}

bool take_algorithm(const std::string& value, DigestChallenge& challenge) {
  constexpr std::string_view kSession = "-sess";
  std::string_view name = value;
  challenge.algorithm = value;
  challenge.is_session = ascii::iends_with(name, kSession);
  if (challenge.is_session) name.remove_suffix(kSession.size());
  if (ascii::iequals(name, "SHA-256")) challenge.hash = HashFunction::sha256;
  return ascii::iequals(name, "MD5") || ascii::iequals(name, "SHA-256");
}

// Reads the parameters after `Digest`. nullopt for a challenge that cannot be answered.
std::optional<DigestChallenge> take_challenge(std::string_view& text) {
  DigestChallenge challenge;
  bool is_usable = true;
  std::string_view name;
  std::string value;
  for (skip(", \t", text); take_parameter(text, name, value); skip(", \t", text)) {
    if (ascii::iequals(name, "realm")) challenge.realm = value;
    if (ascii::iequals(name, "nonce")) challenge.nonce = value;
    if (ascii::iequals(name, "opaque")) challenge.opaque = value;
    if (ascii::iequals(name, "stale")) challenge.is_stale = ascii::iequals(value, "true");
    if (ascii::iequals(name, "algorithm") && !take_algorithm(value, challenge)) is_usable = false;
    if (!ascii::iequals(name, "qop")) continue;
    http::for_each_element(value, [&](std::string_view quality) {
      challenge.has_qop = challenge.has_qop || ascii::iequals(quality, "auth");
    });
    if (!challenge.has_qop && !value.empty()) is_usable = false;  // auth-int alone
  }
  if (!is_usable || challenge.nonce.empty()) return std::nullopt;
  return challenge;
}

// One field may have several challenges (RFC 9110 11.6.1).
std::optional<DigestChallenge> find_in(std::string_view text) {
  while (!text.empty()) {
    skip(", \t", text);
    std::string_view name;
    std::string value;
    if (take_parameter(text, name, value)) continue;  // of another scheme
    const std::string_view scheme = take_token(text);
    if (scheme.empty()) return std::nullopt;
    if (!ascii::iequals(scheme, kDigest)) {
      skip(" \t", text);
      continue;
    }
    if (auto challenge = take_challenge(text)) return challenge;
  }
  return std::nullopt;
}

std::string new_client_nonce() {
  std::array<unsigned char, 16> bytes;
  CHECK(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  std::string out;
  append_base64url({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, out);
  return out;
}

void append_quoted(std::string_view name, std::string_view value, std::string& out) {
  out.append(", ").append(name).append("=\"");
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) out.append(part).append(":");
  out.pop_back();
  return out;
}

}  // namespace

std::optional<Credentials> basic_credentials(std::string_view authorization) {
  if (!ascii::istarts_with(authorization, kBasic)) return std::nullopt;
  const auto pair = decode_base64(ascii::trim(authorization.substr(kBasic.size())));
  if (!pair) return std::nullopt;
  const size_t colon = pair->find(':');
  if (colon == pair->npos) return std::nullopt;
  return Credentials{pair->substr(0, colon), pair->substr(colon + 1)};
}

std::optional<DigestChallenge> find_digest_challenge(const HeaderFields& fields) {
  for (const HeaderField& field : fields) {
    const bool is_challenge = ascii::iequals(field.name, "WWW-Authenticate");
    if (!is_challenge || field.value.size() > kMaxChallengeBytes) continue;
    if (auto challenge = find_in(field.value)) return challenge;
  }
  return std::nullopt;
}

// RFC 7616 3.4.
std::string DigestSession::authorization(std::string_view method, std::string_view target) {
  std::array<char, 9> count{};
  std::snprintf(count.data(), count.size(), "%08x", ++requests_);
  const std::string client_nonce = new_client_nonce();
  const auto& [user, password] = credentials_;
  const std::string& nonce = challenge_.nonce;
  auto secret = hash_in_hex(challenge_.hash, joined({user, challenge_.realm, password}));
  if (secret && challenge_.is_session) {
    secret = hash_in_hex(challenge_.hash, joined({*secret, nonce, client_nonce}));
  }
  const auto request = hash_in_hex(challenge_.hash, joined({method, target}));
  if (!secret || !request) return {};
  const auto response = hash_in_hex(
      challenge_.hash, challenge_.has_qop
                           ? joined({*secret, nonce, count.data(), client_nonce, "auth", *request})
                           : joined({*secret, nonce, *request}));
  std::string out(kDigest);
  append_quoted("username", user, out);
  out.erase(kDigest.size(), 1);  // the comma before the first parameter
  append_quoted("realm", challenge_.realm, out);
  append_quoted("nonce", nonce, out);
  append_quoted("uri", target, out);
  append_quoted("response", response.value_or(std::string()), out);
  if (!challenge_.algorithm.empty()) out.append(", algorithm=").append(challenge_.algorithm);
  if (challenge_.opaque) append_quoted("opaque", *challenge_.opaque, out);
  if (challenge_.has_qop) out.append(", qop=auth, nc=").append(count.data());
  if (challenge_.has_qop || challenge_.is_session) append_quoted("cnonce", client_nonce, out);
  return out;
}

}  // namespace streamgate
