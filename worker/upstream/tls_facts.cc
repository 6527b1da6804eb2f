#include "worker/upstream/tls_facts.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>
#include <optional>
#include <string_view>

#include "common/ip_address.h"
#include "worker/loop/openssl.h"
#include "worker/upstream/authorities.h"

namespace streamgate {
namespace {

constexpr size_t kMaxNames = 32;
constexpr size_t kMaxNameBytes = 255;
constexpr size_t kMaxNamesInError = 5;

using Names = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;

std::string printable(std::string_view text) {
  std::string out(text.substr(0, kMaxNameBytes));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return out;
}

std::string_view text_of(const ASN1_STRING& string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(&string)),
          static_cast<size_t>(ASN1_STRING_length(&string))};
}

// The organisation and the common name of a subject or an issuer.
std::string text_of(const X509_NAME& name) {
  std::string out;
  for (const int part : {NID_organizationName, NID_commonName}) {
    const int at = X509_NAME_get_index_by_NID(&name, part, -1);
    if (at < 0) continue;
    const ASN1_STRING* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(&name, at));
    if (!out.empty()) out += ", ";
    out += printable(text_of(*value));
  }
  return out;
}

std::string text_of(const ASN1_TIME* time) {
  tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return {};
  std::array<char, 32> text;
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::optional<std::string> address_of(const ASN1_OCTET_STRING& bytes) {
  const std::string_view raw = text_of(bytes);
  IpAddress address;
  if (raw.size() != 4 && raw.size() != address.bytes.size()) return std::nullopt;
  address.is_v4 = raw.size() == 4;
  std::copy(raw.begin(), raw.end(), address.bytes.begin());
  return address.to_string();
}

void take_names(const X509& certificate, CertificateFacts& facts) {
  const Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME& name = *sk_GENERAL_NAME_value(names.get(), i);
    if (name.type == GEN_DNS && facts.dns_names.size() < kMaxNames) {
      facts.dns_names.push_back(printable(text_of(*name.d.dNSName)));
    } else if (name.type == GEN_IPADD && facts.addresses.size() < kMaxNames) {
      if (auto address = address_of(*name.d.iPAddress)) facts.addresses.push_back(*address);
    }
  }
  if (!facts.dns_names.empty() || !facts.addresses.empty()) return;
  const X509_NAME* subject = X509_get_subject_name(&certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return;
  facts.dns_names.push_back(
      printable(text_of(*X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)))));
}

// After a failed verification OpenSSL keeps the certificate only in the chain that it built.
const X509* certificate_of(const SSL& ssl) {
  if (const X509* peer = SSL_get0_peer_certificate(&ssl)) return peer;
  const auto* built = SSL_get0_verified_chain(&ssl);
  return built != nullptr && sk_X509_num(built) > 0 ? sk_X509_value(built, 0) : nullptr;
}

bool demands_valid_certificate(const SSL& ssl) {
  return (SSL_get_verify_mode(&ssl) & SSL_VERIFY_PEER) != 0;
}

Cause cause_of(const SSL& ssl, long verdict) {
  switch (verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return Cause::certificate_expired;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Cause::certificate_not_yet_valid;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return Cause::certificate_wrong_name;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return Cause::certificate_self_signed;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
      return has_authorities(*SSL_get_SSL_CTX(&ssl)) ? Cause::certificate_unknown_issuer
                                                     : Cause::certificate_no_authorities;
    default:
      return Cause::certificate_invalid;
  }
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (size_t i = 0; i < std::min(names.size(), kMaxNamesInError); ++i) {
    out += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kMaxNamesInError) {
    out += " and " + std::to_string(names.size() - kMaxNamesInError) + " more";
  }
  return out;
}

// The facts of the certificate about its fault. `names` as far as the reader may know them.
std::string particulars(Cause cause, const CertificateFacts& facts,
                        const std::vector<std::string>& names) {
  switch (cause) {
    case Cause::certificate_expired:
      return facts.not_after.empty() ? "" : " (" + facts.not_after + ")";
    case Cause::certificate_not_yet_valid:
      return facts.not_before.empty() ? "" : " (" + facts.not_before + ")";
    case Cause::certificate_wrong_name:
      return names.empty() ? " (it has none)" : " (it has " + listed(names) + ")";
    case Cause::certificate_unknown_issuer:
    case Cause::certificate_no_authorities:
      return facts.issuer.empty() ? "" : " (" + facts.issuer + ")";
    default:
      return "";
  }
}

// Of an expired or too new certificate of the chain, the first one; else the upstream's own.
const X509* faulty_certificate(const SSL& ssl, Cause cause) {
  const auto* built = SSL_get0_verified_chain(&ssl);
  for (int i = 0; built != nullptr && i < sk_X509_num(built); ++i) {
    const X509* certificate = sk_X509_value(built, i);
    const bool is_expired = X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0;
    const bool is_early = X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0;
    if (cause == Cause::certificate_expired && is_expired) return certificate;
    if (cause == Cause::certificate_not_yet_valid && is_early) return certificate;
  }
  return certificate_of(ssl);
}

CertificateFacts facts_of(const X509& certificate) {
  CertificateFacts facts;
  take_names(certificate, facts);
  facts.subject = text_of(*X509_get_subject_name(&certificate));
  facts.issuer = text_of(*X509_get_issuer_name(&certificate));
  facts.not_before = text_of(X509_get0_notBefore(&certificate));
  facts.not_after = text_of(X509_get0_notAfter(&certificate));
  return facts;
}

Error certificate_error(const SSL& ssl, long verdict) {
  const Cause cause = cause_of(ssl, verdict);
  Error error = Error::of(Reason::tls_failed, cause,
                          std::string("certificate: ") + X509_verify_cert_error_string(verdict));
  // A machine without authorities knows no issuer.
  if (cause == Cause::certificate_no_authorities) {
    error.client_detail = info_of(Cause::certificate_unknown_issuer).sentence;
    error.detail +=
        "; no certificate authorities were found (install ca-certificates, or set "
        "upstream.tls.ca_file)";
  }
  const X509* certificate = faulty_certificate(ssl, cause);
  if (certificate == nullptr) return error;
  const CertificateFacts facts = facts_of(*certificate);
  std::vector<std::string> names = facts.dns_names;
  error.client_detail += particulars(cause, facts, names);
  names.insert(names.end(), facts.addresses.begin(), facts.addresses.end());
  error.detail += particulars(cause, facts, names);
  return error;
}

Cause cause_of_code(unsigned long code) {
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) return Cause::none;
  const int reason = ERR_GET_REASON(code);
  switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
      return Cause::tls_not_spoken;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      return Cause::tls_version;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return Cause::tls_ended;
    default:
      break;
  }
  return reason >= SSL_AD_REASON_OFFSET ? Cause::tls_refused : Cause::none;
}

}  // namespace

TlsFacts tls_facts(SSL& ssl) {
  TlsFacts facts;
  facts.version = SSL_get_version(&ssl);
  if (const SSL_CIPHER* cipher = SSL_get_current_cipher(&ssl)) {
    facts.suite = SSL_CIPHER_get_name(cipher);
  }
  facts.is_verified = demands_valid_certificate(ssl);
  const X509* certificate = certificate_of(ssl);
  facts.has_certificate = certificate != nullptr;
  if (certificate != nullptr) {
    facts.certificate = facts_of(*certificate);
    facts.verdict = X509_verify_cert_error_string(SSL_get_verify_result(&ssl));
  }
  if (const auto* sent = SSL_get_peer_cert_chain(&ssl)) {
    facts.certificate.chain_length = static_cast<size_t>(sk_X509_num(sent));
  }
  return facts;
}

Error handshake_error(SSL& ssl) {
  const unsigned long code = ERR_peek_error();
  const std::string queue = take_tls_errors();
  const long verdict = SSL_get_verify_result(&ssl);
  if (verdict != X509_V_OK && demands_valid_certificate(ssl)) {
    return certificate_error(ssl, verdict);
  }
  if (queue.empty()) return Error::of(Reason::tls_failed, Cause::tls_ended, "the connection ended");
  return Error::of(Reason::tls_failed, cause_of_code(code), queue);
}

}  // namespace streamgate
