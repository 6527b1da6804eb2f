#include "common/cause.h"

#include <array>
#include <utility>

#include "common/reason.h"

namespace streamgate {
namespace {

constexpr auto kEveryone = Audience::everyone;
constexpr auto kInsiders = Audience::insiders;

constexpr std::string_view kCaFile = "upstream.tls.ca_file";
constexpr std::string_view kTrustIt =
    "If you trust this upstream, set ca_file or verify: false for its host in upstream.hosts.";

// In the order of Cause.
constexpr std::array kCauses{
    CauseInfo{"none", kEveryone, "", "", ""},
    CauseInfo{
        "certificate_expired", kEveryone, "the upstream's certificate has expired", "",
        "The upstream must renew its certificate. Check the clock of this machine too. To play "
        "it anyway, set verify: false for its host in upstream.hosts."},
    CauseInfo{"certificate_not_yet_valid", kEveryone, "the upstream's certificate is not valid yet",
              "",
              "Check the clock of this machine: the certificate is valid from a later date on."},
    CauseInfo{"certificate_self_signed", kEveryone, "the upstream's certificate is self-signed",
              kCaFile, kTrustIt},
    CauseInfo{
        "certificate_unknown_issuer", kEveryone,
        "the issuer of the upstream's certificate is not known", kCaFile,
        "Either the upstream does not send its intermediate certificates, or its authority is "
        "a private one. Add the authority to upstream.tls.ca_file, or set ca_file for the host "
        "in upstream.hosts."},
    CauseInfo{"certificate_no_authorities", kInsiders, "this machine has no CA certificates",
              kCaFile, "Install the package ca-certificates, or set upstream.tls.ca_file."},
    CauseInfo{"certificate_wrong_name", kEveryone, "the upstream's certificate is for another name",
              "",
              "Use a host name that the certificate has. If you trust this upstream, set "
              "verify: false for its host in upstream.hosts."},
    CauseInfo{"certificate_invalid", kEveryone, "the upstream's certificate is not valid", "",
              kTrustIt},
    CauseInfo{"tls_not_spoken", kEveryone, "the upstream does not speak TLS on this port", "",
              "Use http:// instead of https://, or the upstream's TLS port."},
    CauseInfo{"tls_version", kEveryone, "the upstream does not support an accepted TLS version",
              "upstream.tls.min_version",
              "The upstream has no TLS version from upstream.tls.min_version on. Lower that key if "
              "you accept an older version."},
    CauseInfo{"tls_refused", kEveryone, "the upstream refused the TLS handshake", "",
              "The upstream may not serve this host name, or may require a client certificate."},
    CauseInfo{
        "tls_ended", kEveryone, "the upstream ended the TLS handshake", "",
        "The upstream or a firewall on the way closes TLS connections. Try the URL from another "
        "network."},
    CauseInfo{
        "connection_refused", kEveryone, "the connection was refused", "",
        "Nothing listens on this port, or a firewall rejects the connection. Check the port."},
    CauseInfo{
        "no_route", kEveryone, "there is no route to the upstream", "",
        "Check the network of this machine: its default route, and IPv6 for an IPv6 address."},
    CauseInfo{"no_such_name", kEveryone, "the name does not exist", "",
              "Check the spelling of the host name."},
    CauseInfo{"name_without_address", kEveryone, "the name has no address", "",
              "The name exists, but has no A or AAAA record."},
    CauseInfo{"name_server_failed", kEveryone, "the name server could not answer", "",
              "Check /etc/resolv.conf of this machine and the name servers in it."},
    CauseInfo{"bad_name", kEveryone, "the host is not a DNS name", "",
              "Check the spelling of the host name."},
    CauseInfo{"not_public", kInsiders, "the address is not public", "security.allow_private",
              "If this target may be reached through the proxy, add its address to "
              "security.allow_private."},
    CauseInfo{"not_unicast", kInsiders, "the address is not a unicast address", "",
              "No configuration allows such an address."},
    CauseInfo{"local_name", kInsiders, "the name is that of this machine or of its network",
              "security.allow_private",
              "Add the address to security.allow_private, or the name to security.allow."},
    CauseInfo{"denied", kInsiders, "the configuration denies the target", "security.deny",
              "Remove the entry from security.deny if this target may be reached."},
    CauseInfo{"not_allowed", kInsiders, "the configuration does not list the target",
              "security.allow", "Add the host to security.allow."},
    CauseInfo{"not_allowed_unresolved", kInsiders,
              "the proxy resolves the name, and the configuration does not list it",
              "security.allow",
              "Add the host to security.allow, or let this machine resolve names "
              "(upstream.resolve: local)."},
    CauseInfo{"own_place", kInsiders, "the target is this service itself", "",
              "Use the URL of the upstream, not a URL of this service."},
    CauseInfo{"all_streams", kInsiders, "the service has as many streams as it may have",
              "limits.streams", "Raise limits.streams."},
    CauseInfo{"client_streams", kEveryone, "this client has as many streams as it may have",
              "limits.per_client.streams", "Raise limits.per_client.streams."},
    CauseInfo{"client_requests", kEveryone, "this client sends too many requests a second",
              "limits.per_client.requests", "Raise limits.per_client.requests."},
    CauseInfo{"token_streams", kEveryone, "the token has as many streams as it may have", "",
              "Make tokens with a larger claim `streams`."},
    CauseInfo{"key_streams", kEveryone, "the key of the token has as many streams as it may have",
              "security.keys", "Raise `streams` in the `limits` of the key."},
    CauseInfo{"key_requests", kEveryone, "too many requests a second for the key of the token",
              "security.keys", "Raise `requests` in the `limits` of the key."},
};

static_assert(kCauses.size() == static_cast<size_t>(Cause::key_requests) + 1);

// For reasons whose remedy does not depend on a Cause. Other reasons have none.
constexpr auto kGuidances = std::to_array<std::pair<Reason, Guidance>>({
    {Reason::port_forbidden,
     {"security.ports", "If this port serves media, add it to security.ports."}},
    {Reason::uri_too_long,
     {"limits.request_line", "Raise limits.request_line, or shorten the URL."}},
    {Reason::header_too_large,
     {"limits.request_head", "Raise limits.request_head, or send fewer headers."}},
    {Reason::request_timeout, {"client.header_timeout", ""}},
    {Reason::rate_limited,
     {"limits.per_client.connections", "Raise limits.per_client.connections."}},
    {Reason::dns_timeout,
     {"upstream.dns_timeout",
      "No name server answered in time. Check /etc/resolv.conf of this machine."}},
    {Reason::connect_timeout,
     {"upstream.connect_timeout",
      "A firewall may drop the packets, or the upstream is down. Try the URL from another "
      "network."}},
    {Reason::first_byte_timeout,
     {"upstream.first_byte_timeout",
      "The upstream received the request but did not answer. If it is known to be slow, "
      "raise upstream.first_byte_timeout."}},
    {Reason::idle_timeout,
     {"upstream.idle_timeout",
      "The upstream stopped sending. If it pauses for long, raise upstream.idle_timeout."}},
    {Reason::upstream_too_slow,
     {"upstream.min_rate", "The upstream sends less than upstream.min_rate."}},
    {Reason::upstream_busy,
     {"upstream.max_connections",
      "All connections that this upstream allows are in use. Close a player, or raise "
      "upstream.max_connections."}},
    {Reason::too_many_redirects,
     {"upstream.max_redirects",
      "The redirects may form a loop. The upstream may need a cookie, a Referer or another "
      "User-Agent."}},
    {Reason::proxy_failed,
     {"upstream.proxy", "Check the address and the password of the proxy in upstream.proxy."}},
    {Reason::overloaded,
     {"limits.connections",
      "Raise limits.connections and the limit of open files, or add workers."}},
    {Reason::bad_response,
     {"", "The upstream's answer is not HTTP/1.1. Check the port and the scheme of the URL."}},
    {Reason::truncated_body, {"", "The upstream closed the connection too early. Try again."}},
    {Reason::unsupported_coding,
     {"", "The upstream sends the playlist in a content coding that is not supported."}},
    {Reason::bad_document,
     {"",
      "The links of such a document cannot be rewritten. Request it from the upstream and "
      "check it."}},
    {Reason::bad_url, {"", "Check the URL."}},
    {Reason::loop, {"", "Use the URL of the upstream, not a URL of this service."}},
});

Guidance guidance_of(Reason reason) {
  for (const auto& [known, guidance] : kGuidances) {
    if (known == reason) return guidance;
  }
  return {};
}

}  // namespace

const CauseInfo& info_of(Cause cause) { return kCauses[static_cast<size_t>(cause)]; }

Guidance guidance_for(Reason reason, Cause cause) {
  if (cause == Cause::none) return guidance_of(reason);
  return {info_of(cause).key, info_of(cause).advice};
}

}  // namespace streamgate
