// The whole configuration as plain values, with the documented defaults. The loader
// (master/config/loader.h) fills it from YAML; it is constant from then on. Most modules are given
// only their own section.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/access_field.h"
#include "common/ip_address.h"
#include "common/proxy_address.h"
#include "common/secret.h"
#include "common/socket_address.h"
#include "common/target_pattern.h"

namespace streamgate {

using Milliseconds = std::chrono::milliseconds;

// The TLS settings of a listener.
struct ListenTls {
  std::string certificate;  // PEM file: the server's own, then the intermediate ones
  std::string key;          // PEM file, without a passphrase
  // The contents of both files. The master reads them before it drops privileges; never printed.
  std::string certificate_pem;
  Secret key_pem;

  bool operator==(const ListenTls&) const = default;
};

struct ListenConfig {
  SocketAddress address;
  std::optional<ListenTls> tls;  // none: plain HTTP
  bool proxy_protocol = false;   // each connection begins with a PROXY protocol header

  bool operator==(const ListenConfig&) const = default;
};

struct DrainConfig {
  Milliseconds timeout{0};            // 0: no limit
  Milliseconds idle{5'000};           // how long an idle connection may still send a request
  Milliseconds stop_timeout{25'000};  // the limit for TERM
  unsigned max_workers = 0;           // a reload waits while this many drain; 0: 8 for each worker
  Milliseconds patience{600'000};     // the bound for that wait; 0: none
  Milliseconds ready_delay{0};  // before a stop: /ready answers 503, and requests are still served

  bool operator==(const DrainConfig&) const = default;
};

struct ClientConfig {
  Milliseconds header_timeout{10'000};       // from the first byte of a request head to its last
  Milliseconds keepalive_timeout{30'000};    // between two requests
  Milliseconds write_stall_timeout{30'000};  // a client that takes no byte for this long is cut
  size_t min_rate = 1024;  // bytes per second, while bytes wait for the client; 0: none
  Milliseconds min_rate_window{60'000};  // over which min_rate is averaged

  bool operator==(const ClientConfig&) const = default;
};

// The value to send upstream in a header that browsers set.
struct HeaderPolicy {
  enum class Kind { target, browser, client, none, literal };
  Kind kind;
  std::string text;  // Kind::literal only

  bool operator==(const HeaderPolicy&) const = default;
};

enum class TlsVersion { tls1_0, tls1_1, tls1_2, tls1_3 };

struct TlsConfig {
  TlsVersion min_version = TlsVersion::tls1_0;
  bool verify = true;
  std::string ca_file;  // PEM; empty: the system's
  // An older form of UpstreamHost::verify: hosts whose certificate is not verified.
  std::vector<TargetPattern> insecure_hosts;

  bool operator==(const TlsConfig&) const = default;
};

// Statuses from `first` to `last`, both included; 100 to 999.
struct StatusRange {
  int first;
  int last;

  bool contains(int status) const { return first <= status && status <= last; }
  bool operator==(const StatusRange&) const = default;
};

// Which live bodies continue with another answer of the upstream after their end.
enum class Reconnect { links, always, never };  // links: those of links with sg_live=1

// Where the names of upstreams behind a proxy are resolved. `remote` means by the proxy.
enum class ResolveNames { local, remote };

// The subject of max_connections: the connections of an origin, or of one account there
// (worker/upstream/account.h).
enum class ConnectionsBy { origin, account };

// One row of upstream.hosts: settings for the hosts that `pattern` matches. A field that is not set
// has the value of a less specific row, or of UpstreamConfig.
struct UpstreamHost {
  TargetPattern pattern;
  std::optional<HeaderPolicy> user_agent = {};
  std::optional<HeaderPolicy> referer = {};
  std::optional<HeaderPolicy> origin = {};
  std::vector<std::pair<std::string, std::string>> headers = {};  // merged by name
  std::optional<ProxyAddress> proxy = {};
  std::optional<ResolveNames> resolve = {};
  std::optional<bool> verify = {};
  std::optional<std::string> ca_file = {};
  std::optional<unsigned> max_connections = {};
  std::optional<ConnectionsBy> max_connections_by = {};
  std::optional<Reconnect> reconnect = {};
  std::optional<Milliseconds> first_byte_timeout = {};

  bool operator==(const UpstreamHost&) const = default;
};

struct UpstreamConfig {
  Milliseconds dns_timeout{5'000};
  Milliseconds connect_timeout{5'000};      // per attempt: all addresses and the TLS handshake
  Milliseconds first_byte_timeout{30'000};  // from the request sent to the response head complete
  // The same for a request that the upstream may hold until the playlist has changed (_HLS_msn).
  Milliseconds blocking_timeout{60'000};
  Milliseconds idle_timeout{30'000};  // between two reads of a body
  size_t min_rate = 0;  // of a body, bytes per second, while the client accepts it; 0: none
  Milliseconds min_rate_window{60'000};  // over which min_rate is averaged
  unsigned resume_attempts = 2;          // per exchange: requests for the rest of a truncated body
  bool resume_unverified = false;        // also without a validator, if the length is the same
  Reconnect reconnect = Reconnect::links;
  unsigned reconnect_attempts = 20;  // in a row, without 10 s of body between
  unsigned max_redirects = 10;
  // Failover (sg_alt): the statuses that lead to the next URL; the time for which an unreachable
  // origin is tried last; the time for which a link stays with the URL that answered.
  std::vector<StatusRange> failover_statuses{
      {403, 403}, {404, 404}, {410, 410}, {429, 429}, {500, 599}};
  Milliseconds down_for{30'000};
  Milliseconds failover_stick{600'000};
  Milliseconds keepalive_idle{30'000};   // how long an idle connection is kept
  unsigned keepalive_per_origin = 64;    // idle connections kept, per worker and origin
  unsigned keepalive_per_worker = 1024;  // of all origins
  HeaderPolicy user_agent{HeaderPolicy::Kind::browser, {}};
  HeaderPolicy referer{HeaderPolicy::Kind::target, {}};
  HeaderPolicy origin{HeaderPolicy::Kind::target, {}};
  bool send_via = false;  // Via: 1.1 streamgate
  ProxyAddress proxy;
  ResolveNames resolve = ResolveNames::local;  // matters only with a proxy
  unsigned max_connections = 0;                // over all workers; 0: no limit
  ConnectionsBy max_connections_by = ConnectionsBy::origin;
  TlsConfig tls;
  std::vector<UpstreamHost> hosts;  // one row for each pattern, in the order of the file

  bool operator==(const UpstreamConfig&) const = default;
};

struct HlsConfig {
  enum class UrlStyle { absolute, relative };
  enum class ChildUrls { query, named, path };
  enum class Segments { proxy, direct };  // direct: players get them from the upstream
  UrlStyle url_style = UrlStyle::absolute;
  ChildUrls child_urls = ChildUrls::query;
  Segments segments = Segments::proxy;
  // The limits for the variants of a multivariant playlist; 0: none.
  unsigned max_height = 0;
  unsigned max_bandwidth = 0;    // bits per second
  bool list_attributes = false;  // rewrite the logos, guides and archives of channel lists too
  // Rewritten documents of at least this size are sent gzip-coded to clients that accept it. 0:
  // none.
  size_t compress_from = size_t{16} * 1024;

  bool operator==(const HlsConfig&) const = default;
};

// The page for people (worker/pages/player_page.h).
struct PageConfig {
  bool enabled = false;

  bool operator==(const PageConfig&) const = default;
};

struct CorsConfig {
  std::vector<std::string> allow_origin{"*"};  // "*" alone, or origins; never empty
  bool allow_credentials = false;              // never with "*"
  bool private_network = false;  // pages of public sites may reach us on a private address

  bool operator==(const CorsConfig&) const = default;
};

// Limits over all workers. 0: none.
struct RateLimits {
  unsigned streams = 0;   // at a time
  unsigned requests = 0;  // a second, and as many at once
  size_t bandwidth = 0;   // bytes a second, of all streams together

  bool operator==(const RateLimits&) const = default;
};

// A key that verifies the tokens of clients (RFC 7519), and signs the links in the documents that
// they request.
struct TokenKey {
  enum class Algorithm { hs256, es256, eddsa };

  std::string id;  // letters, digits, `-` and `_`, because links contain it
  Algorithm algorithm = Algorithm::hs256;
  Secret secret;                // hs256: 32 bytes at least
  std::string secret_file;      // in place of `secret`; the master reads it
  std::string public_key_file;  // es256, eddsa; PEM
  std::string public_key_pem;   // its content, which the master reads
  std::string audience;         // the claim `aud` must have it; empty: not checked
  std::string issuer;           // the claim `iss`; empty: not checked
  // The upstream hosts of this key, in addition to SecurityConfig::allow. Empty: all.
  std::vector<TargetPattern> allow;
  RateLimits limits;                // of all clients with a token or a link of this key together
  std::vector<UpstreamHost> hosts;  // over UpstreamConfig::hosts; without ca_file

  bool operator==(const TokenKey&) const = default;
};

// The clients that are served, by address.
struct ClientRules {
  std::vector<IpRange> allow;  // if not empty, only these
  std::vector<IpRange> deny;   // wins over allow

  bool operator==(const ClientRules&) const = default;
};

// Which parameters a client may add to a link. Links of playlists may have those that the playlist
// gave them.
struct ParameterRules {
  bool live = true;          // sg_live
  bool alternatives = true;  // sg_alt
  bool headers = true;       // referer, h_*, and headers after the url

  bool operator==(const ParameterRules&) const = default;
};

struct SecurityConfig {
  enum class Auth { none, token };
  Auth auth = Auth::none;
  std::vector<TokenKey> keys;
  Secret grant_secret;                 // signs links if a key has no secret of its own
  bool require_expiry = true;          // a token needs the claim `exp`
  std::vector<std::string> revoked;    // ids of keys and of tokens (`jti`)
  bool allow_all_private = false;      // allow_private: true
  std::vector<IpRange> allow_private;  // allow_private: [..]
  std::vector<TargetPattern> allow;    // if not empty, only these are allowed
  std::vector<TargetPattern> deny;     // wins over allow
  std::vector<uint16_t> ports;         // of those that browsers refuse, the allowed ones
  ClientRules clients;
  ParameterRules parameters;
  // Whether workers are confined (worker/confine/). automatic: as far as the kernel can.
  enum class Confine : uint8_t { automatic, on, off };
  Confine confine = Confine::automatic;
  // Whether workers may dump core. automatic: not if a listener has a key, or tokens have keys.
  enum class CoreDumps { automatic, on, off };
  CoreDumps core_dumps = CoreDumps::automatic;

  bool operator==(const SecurityConfig&) const = default;
};

// Limits for one client: an IPv4 address or an IPv6 /64. 0: none.
struct PerClientLimits {
  unsigned connections = 0;  // over all workers
  RateLimits rates = {};

  bool operator==(const PerClientLimits&) const = default;
};

struct LimitsConfig {
  size_t request_line = size_t{16} * 1024;  // bytes
  size_t request_head = size_t{32} * 1024;  // bytes, the request line included
  size_t playlist_line = size_t{1024} * 1024;
  unsigned connections = 10'000;  // clients, over all workers
  unsigned streams = 0;           // running requests, over all workers; 0: no limit
  PerClientLimits per_client;

  bool operator==(const LimitsConfig&) const = default;
};

// Shared fetches and their store (worker/cache).
struct CacheConfig {
  size_t memory = 0;                                // bytes, over all workers; 0: off
  size_t object_size = size_t{16} * 1024 * 1024;    // bytes; longer bodies are not stored
  Milliseconds playlist_age{1'000};                 // if the upstream sends no caching fields
  Milliseconds segment_age{30'000};                 // the same, for all but playlists
  size_t live_window = size_t{8} * 1024 * 1024;     // bytes of an endless body that are kept
  Milliseconds live_batch{50};                      // between two pieces of an endless body
  Milliseconds linger{5'000};                       // of an endless body without viewers
  std::vector<TargetPattern> ignore_no_store = {};  // hosts whose no-store and private are ignored

  bool operator==(const CacheConfig&) const = default;
};

// The source of the client's address: the connection, or one request header.
enum class ClientAddress { peer, x_forwarded_for, forwarded };

enum class LogLevel { debug, info, warn, error };

// The facilities of RFC 5424 6.2.1 that a service may use.
enum class SyslogFacility {
  user = 1,
  daemon = 3,
  local0 = 16,
  local1,
  local2,
  local3,
  local4,
  local5,
  local6,
  local7
};

// The local syslog, for a log that goes to `syslog`.
struct SyslogConfig {
  std::string socket = "/dev/log";
  SyslogFacility facility = SyslogFacility::daemon;
  std::string tag = "streamgate";  // the name before the process id

  bool operator==(const SyslogConfig&) const = default;
};

// combined: the access log is in the combined format of Apache and nginx, events are text.
enum class LogFormat { text, json, combined };

// The lowest level that is logged of one event (`dns.server_silent`), of the events of an area
// (`dns.*`), or of the access log (`access`).
struct EventLevel {
  std::string events;
  std::optional<LogLevel> level;  // none: nothing is logged

  bool operator==(const EventLevel&) const = default;
};

struct LogConfig {
  LogLevel level = LogLevel::info;
  std::string access = "stderr";  // stderr, syslog, off, or a path
  std::string error = "stderr";   // stderr, syslog, or a path
  SyslogConfig syslog = {};
  std::vector<EventLevel> levels = {};  // a name wins over its area; others have `level`
  LogFormat format = LogFormat::text;
  std::vector<AccessField> fields = default_access_fields();  // of access lines; not for combined

  bool operator==(const LogConfig&) const = default;
};

struct ErrorsConfig {
  // Which clients get internal details of a failure: addresses, other URLs, configuration keys.
  // automatic: peers on loopback and private addresses whose request no proxy has forwarded.
  enum class Detail { automatic, on, off };
  Detail detail = Detail::automatic;

  bool operator==(const ErrorsConfig&) const = default;
};

// The listener for operators: metrics and state.
struct AdminConfig {
  std::vector<SocketAddress> listen;  // empty: off
  Secret token;                       // for Authorization: Bearer; empty: only on loopback
  std::vector<std::string> hosts;     // in lower case: allowed in Host, besides addresses

  bool operator==(const AdminConfig&) const = default;
};

struct Config {
  std::vector<ListenConfig> listen;      // empty: 0.0.0.0:8080, or LISTEN_ADDR
  unsigned workers = 0;                  // 0: one per core
  std::string user = "nobody";           // used when started as root
  std::string pid_file;                  // empty: none
  std::string public_url;                // no slash at the end; empty: from the request
  std::string loop_id;                   // a token for CDN-Loop; empty: derived by the worker
  std::vector<IpRange> trusted_proxies;  // filled with loopback and private by default_config()
  ClientAddress client_address = ClientAddress::peer;  // a header only if the file sets the list
  Milliseconds watchdog_timeout{10'000};
  DrainConfig drain;
  ClientConfig client;
  UpstreamConfig upstream;
  HlsConfig hls;
  PageConfig page;
  CorsConfig cors;
  SecurityConfig security;
  LimitsConfig limits;
  CacheConfig cache;
  LogConfig log;
  ErrorsConfig errors;
  AdminConfig admin;

  bool operator==(const Config&) const = default;
};

// The blocks that `loopback` and `private` mean in trusted_proxies and allow_private.
const std::vector<IpRange>& loopback_ranges();
const std::vector<IpRange>& private_ranges();

// A Config with every documented default, the computed ones included.
Config default_config();

}  // namespace streamgate
