#include "master/config/table.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/ascii.h"
#include "common/url.h"
#include "master/config/admin.h"
#include "master/config/hosts.h"
#include "master/config/key_kinds.h"
#include "master/config/listen.h"
#include "master/config/log_lines.h"
#include "master/config/log_values.h"
#include "master/config/token_keys.h"
#include "master/config/values.h"

namespace streamgate {
namespace {

using namespace config_key;  // NOLINT: used in each row
using namespace std::chrono_literals;

constexpr unsigned kMaxWorkers = 128;  // four generations fit the scoreboard (kSlots)
constexpr unsigned kMaxDraining = 256;
constexpr size_t kMaxLoopIdBytes = 64;
constexpr Milliseconds kHour = 1h;
constexpr size_t kMaxMinRate = size_t{1024} * 1024 * 1024;  // bytes per second

// A macro, because the name of the member is also the path of the key.
#define FIELD(member) \
#member, [](auto& config) -> auto& { return config.member; }

Result<std::string> parse_word_of_text(std::string_view text) {
  if (!text.empty()) return std::string(text);
  return Error{Reason::bad_request, "needs a value"};
}

// A token of RFC 9110 5.6.2.
Result<std::string> parse_loop_id(std::string_view text) {
  const bool is_token = std::all_of(text.begin(), text.end(), [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
  if (is_token && text.size() <= kMaxLoopIdBytes) return std::string(text);
  return Error{Reason::bad_request,
               "'" + std::string(text) +
                   "' is not a token of at most 64 bytes: write letters, digits, - . and _"};
}

template <unsigned Most>
Result<unsigned> parse_number_or_auto(std::string_view text) {
  if (text == "auto") return 0U;
  return within(1U, Most, parse_unsigned, print_number)(text);
}

std::string print_or_auto(unsigned number) {
  return number == 0 ? std::string("auto") : std::to_string(number);
}

Result<std::vector<IpRange>> parse_without_port(std::string_view text) {
  auto ranges = parse_ranges(text);
  if (ranges && ranges->front().port) {
    return Error{Reason::bad_request,
                 "'" + std::string(text) + "' has a port: write the address without one"};
  }
  return ranges;
}

Result<std::vector<std::string>> parse_origin(std::string_view text) {
  // Browsers compare it byte by byte, so only a bare origin can match.
  const auto url = parse_http_url(text);
  if (text == "*" || (url && url->origin() == text)) return std::vector{std::string(text)};
  return Error{Reason::bad_request,
               "'" + std::string(text) + "' is neither * nor an origin (https://example.com)"};
}

Result<std::vector<uint16_t>> parse_port_item(std::string_view text) {
  const auto port = within(1U, 65'535U, parse_unsigned, print_number)(text);
  if (!port) return port.error();
  return std::vector<uint16_t>{static_cast<uint16_t>(*port)};
}

std::vector<std::string> print_ports(const std::vector<uint16_t>& ports) {
  std::vector<std::string> out;
  for (const uint16_t port : ports) out.push_back(std::to_string(port));
  return out;
}

// `404` or `500-599`.
Result<std::vector<StatusRange>> parse_status_item(std::string_view text) {
  const size_t dash = std::min(text.find('-'), text.size());
  const auto first = parse_unsigned(text.substr(0, dash));
  const auto last = dash == text.size() ? first : parse_unsigned(text.substr(dash + 1));
  // 2xx is not a failure, and 3xx is a redirect.
  if (first && last && *first >= 400 && *first <= *last && *last <= 999) {
    return std::vector<StatusRange>{{static_cast<int>(*first), static_cast<int>(*last)}};
  }
  return Error{
      Reason::bad_request,
      "'" + std::string(text) + "' is neither a status of 400 to 999 nor a range (500-599)"};
}

std::vector<std::string> print_statuses(const std::vector<StatusRange>& ranges) {
  std::vector<std::string> out;
  for (const auto& [first, last] : ranges) {
    out.push_back(std::to_string(first) + (first == last ? "" : "-" + std::to_string(last)));
  }
  return out;
}

std::string print_text(const std::string& text) { return yaml_text(text); }

// One origin is printed as a scalar, the only form that older versions read.
ConfigKey allow_origin() {
  const auto field = [](auto& config) -> auto& { return config.cors.allow_origin; };
  ConfigKey key = list("cors.allow_origin", field, parse_origin,
                       [](const std::vector<std::string>& origins) { return origins; });
  key.print = [print = key.print](const Config& config) {
    const std::vector<std::string>& origins = config.cors.allow_origin;
    return origins.size() == 1 ? yaml_text(origins.front()) : print(config);
  };
  return key;
}

Result<std::vector<std::string>> parse_revoked(std::string_view text) {
  if (!text.empty()) return std::vector{std::string(text)};
  return Error{Reason::bad_request, "needs the id of a key or of a token (jti)"};
}

// The value of allow_private is a word or a list, stored in two fields.
ConfigKey allow_private() {
  ConfigKey key = list(
      "security.allow_private", [](auto& config) -> auto& { return config.security.allow_private; },
      parse_ranges, print_ranges);
  key.set = [set = key.set](const ConfigNode& node, Config& config, ConfigProblems& problems) {
    const auto flag = parse_bool(node.kind == ConfigNode::Kind::scalar ? node.text : "");
    // A variable replaces the value of the file.
    config.security.allow_all_private = flag && *flag;
    if (!flag) return set(node, config, problems);
    config.security.allow_private.clear();
  };
  key.print = [print = key.print](const Config& config) {
    if (config.security.allow_all_private) return std::string("true");
    return config.security.allow_private.empty() ? std::string("false") : print(config);
  };
  return key;
}

std::vector<ConfigKey> general_keys() {
  return {
      listen_key(),
      scalar(FIELD(workers), parse_number_or_auto<kMaxWorkers>, print_or_auto),
      scalar(FIELD(user), parse_word_of_text, print_text),
      optional_text(FIELD(pid_file), parse_path),
      optional_text(FIELD(public_url), parse_public_url),
      optional_text(FIELD(loop_id), parse_loop_id),
      list(FIELD(trusted_proxies), parse_without_port, print_ranges),
      word(
          FIELD(client_address),
          std::array{std::pair{std::string_view("peer"), ClientAddress::peer},
                     std::pair{std::string_view("x-forwarded-for"), ClientAddress::x_forwarded_for},
                     std::pair{std::string_view("forwarded"), ClientAddress::forwarded}}),
      duration(FIELD(watchdog_timeout), 2s, kHour),
      duration(FIELD(drain.timeout), 0s, 7 * 24h),
      duration(FIELD(drain.idle), 0s, kHour),
      duration(FIELD(drain.stop_timeout), 0s, kHour),
      scalar(FIELD(drain.max_workers), parse_number_or_auto<kMaxDraining>, print_or_auto),
      duration(FIELD(drain.patience), 0s, 7 * 24h),
      duration(FIELD(drain.ready_delay), 0s, kHour),
      duration(FIELD(client.header_timeout), 1ms, kHour),
      duration(FIELD(client.keepalive_timeout), 1ms, kHour),
      duration(FIELD(client.write_stall_timeout), 1ms, kHour),
      size(FIELD(client.min_rate), 0, kMaxMinRate),
      duration(FIELD(client.min_rate_window), 1s, kHour),
  };
}

std::vector<ConfigKey> upstream_keys() {
  using Words = std::string_view;
  return {
      duration(FIELD(upstream.dns_timeout), 1ms, kHour),
      duration(FIELD(upstream.connect_timeout), 1ms, kHour),
      duration(FIELD(upstream.first_byte_timeout), 1ms, kHour),
      duration(FIELD(upstream.blocking_timeout), 1ms, kHour),
      duration(FIELD(upstream.idle_timeout), 1ms, kHour),
      size(FIELD(upstream.min_rate), 0, kMaxMinRate),
      duration(FIELD(upstream.min_rate_window), 1s, kHour),
      count(FIELD(upstream.resume_attempts), 0, 20),
      boolean(FIELD(upstream.resume_unverified)),
      word(FIELD(upstream.reconnect), std::array{std::pair{Words("links"), Reconnect::links},
                                                 std::pair{Words("always"), Reconnect::always},
                                                 std::pair{Words("never"), Reconnect::never}}),
      count(FIELD(upstream.reconnect_attempts), 0, 1000),
      list(FIELD(upstream.failover_statuses), parse_status_item, print_statuses),
      duration(FIELD(upstream.down_for), 0s, kHour),
      duration(FIELD(upstream.failover_stick), 0s, 24h),
      count(FIELD(upstream.max_redirects), 0, 20),
      duration(FIELD(upstream.keepalive_idle), 1ms, kHour),
      count(FIELD(upstream.keepalive_per_origin), 0, 10'000),
      count(FIELD(upstream.keepalive_per_worker), 0, 100'000),
  };
}

// The fields of requests to upstreams, and how upstreams are reached.
std::vector<ConfigKey> upstream_request_keys() {
  using Words = std::string_view;
  return {
      policy(FIELD(upstream.user_agent), PolicyHeader::user_agent),
      policy(FIELD(upstream.referer), PolicyHeader::referer_or_origin),
      policy(FIELD(upstream.origin), PolicyHeader::referer_or_origin),
      boolean(FIELD(upstream.send_via)),
      secret(scalar(FIELD(upstream.proxy), ProxyAddress::parse,
                    [](const ProxyAddress& proxy) { return yaml_text(proxy.to_string()); })),
      word(FIELD(upstream.resolve), std::array{std::pair{Words("local"), ResolveNames::local},
                                               std::pair{Words("remote"), ResolveNames::remote}}),
      count(FIELD(upstream.max_connections), 0, 100'000),
      word(FIELD(upstream.max_connections_by),
           std::array{std::pair{Words("origin"), ConnectionsBy::origin},
                      std::pair{Words("account"), ConnectionsBy::account}}),
      word(FIELD(upstream.tls.min_version),
           std::array{std::pair{Words("1.0"), TlsVersion::tls1_0},
                      std::pair{Words("1.1"), TlsVersion::tls1_1},
                      std::pair{Words("1.2"), TlsVersion::tls1_2},
                      std::pair{Words("1.3"), TlsVersion::tls1_3}}),
      boolean(FIELD(upstream.tls.verify)),
      optional_text(FIELD(upstream.tls.ca_file), parse_path),
      patterns(FIELD(upstream.tls.insecure_hosts)),
      secret(hosts_key()),
  };
}

constexpr size_t kKiB = 1024;

// The sections hls, page and cors.
std::vector<ConfigKey> answer_keys() {
  using UrlStyle = HlsConfig::UrlStyle;
  using ChildUrls = HlsConfig::ChildUrls;
  using Words = std::string_view;
  return {
      word(FIELD(hls.url_style), std::array{std::pair{Words("absolute"), UrlStyle::absolute},
                                            std::pair{Words("relative"), UrlStyle::relative}}),
      word(FIELD(hls.child_urls), std::array{std::pair{Words("query"), ChildUrls::query},
                                             std::pair{Words("named"), ChildUrls::named},
                                             std::pair{Words("path"), ChildUrls::path}}),
      word(FIELD(hls.segments),
           std::array{std::pair{Words("proxy"), HlsConfig::Segments::proxy},
                      std::pair{Words("direct"), HlsConfig::Segments::direct}}),
      count(FIELD(hls.max_height), 0, 100'000),
      count(FIELD(hls.max_bandwidth), 0, 2'000'000'000),
      boolean(FIELD(hls.list_attributes)),
      size_or_zero(FIELD(hls.compress_from), 256 * kKiB),
      boolean(FIELD(page.enabled)),
      allow_origin(),
      boolean(FIELD(cors.allow_credentials)),
      boolean(FIELD(cors.private_network)),
  };
}

std::vector<ConfigKey> security_keys() {
  using CoreDumps = SecurityConfig::CoreDumps;
  using Words = std::string_view;
  return {
      allow_private(),
      word(FIELD(security.auth),
           std::array{std::pair{Words("none"), SecurityConfig::Auth::none},
                      std::pair{Words("token"), SecurityConfig::Auth::token}}),
      token_keys_key(),
      grant_secret_key(),
      boolean(FIELD(security.require_expiry)),
      list(FIELD(security.revoked), parse_revoked,
           [](const std::vector<std::string>& ids) { return ids; }),
      word(FIELD(security.core_dumps), std::array{std::pair{Words("auto"), CoreDumps::automatic},
                                                  std::pair{Words("on"), CoreDumps::on},
                                                  std::pair{Words("off"), CoreDumps::off}}),
      word(FIELD(security.confine),
           std::array{std::pair{Words("auto"), SecurityConfig::Confine::automatic},
                      std::pair{Words("on"), SecurityConfig::Confine::on},
                      std::pair{Words("off"), SecurityConfig::Confine::off}}),
      targets(FIELD(security.allow)),
      patterns(FIELD(security.deny)),
      list(FIELD(security.ports), parse_port_item, print_ports),
      list(FIELD(security.clients.allow), parse_without_port, print_ranges),
      list(FIELD(security.clients.deny), parse_without_port, print_ranges),
      boolean(
          "security.parameters.sg_live",
          [](auto& config) -> auto& { return config.security.parameters.live; }),
      boolean(
          "security.parameters.sg_alt",
          [](auto& config) -> auto& { return config.security.parameters.alternatives; }),
      boolean(FIELD(security.parameters.headers)),
  };
}

std::vector<ConfigKey> limits_keys() {
  return {
      size(FIELD(limits.request_line), kKiB, size_t{1024} * kKiB),
      size(FIELD(limits.request_head), kKiB, size_t{1024} * kKiB),
      size(FIELD(limits.playlist_line), kKiB, size_t{64} * 1024 * kKiB),
      count(FIELD(limits.connections), 1, 1'000'000),
      count(FIELD(limits.streams), 0, 1'000'000),
      count(FIELD(limits.per_client.connections), 0, 60'000),
      count(
          "limits.per_client.streams",
          [](auto& config) -> auto& { return config.limits.per_client.rates.streams; }, 0,
          kMaxStreamsOfClient),
      count(
          "limits.per_client.requests",
          [](auto& config) -> auto& { return config.limits.per_client.rates.requests; }, 0,
          kMaxRequestRate),
      scalar(
          "limits.per_client.bandwidth",
          [](auto& config) -> auto& { return config.limits.per_client.rates.bandwidth; },
          parse_bandwidth, print_size),
  };
}

// The sections log and errors.
std::vector<ConfigKey> log_keys() {
  using Words = std::string_view;
  return {
      word(FIELD(log.level), std::array{std::pair{Words("debug"), LogLevel::debug},
                                        std::pair{Words("info"), LogLevel::info},
                                        std::pair{Words("warn"), LogLevel::warn},
                                        std::pair{Words("error"), LogLevel::error}}),
      log_levels_key(),
      word(FIELD(log.format), std::array{std::pair{Words("text"), LogFormat::text},
                                         std::pair{Words("json"), LogFormat::json},
                                         std::pair{Words("combined"), LogFormat::combined}}),
      list(FIELD(log.fields), parse_access_field, print_access_fields),
      scalar(FIELD(log.access), parse_access_log, print_text),
      scalar(FIELD(log.error), parse_error_log, print_text),
      scalar(FIELD(log.syslog.socket), parse_socket_path, print_text),
      word(FIELD(log.syslog.facility), kSyslogFacilities),
      scalar(FIELD(log.syslog.tag), parse_syslog_tag, print_text),
      word(FIELD(errors.detail),
           std::array<std::pair<std::string_view, ErrorsConfig::Detail>, 3>{
               {{"auto", ErrorsConfig::Detail::automatic},
                {"true", ErrorsConfig::Detail::on},
                {"false", ErrorsConfig::Detail::off}}}),
  };
}

std::vector<ConfigKey> cache_keys() {
  constexpr size_t kMiB = size_t{1024} * 1024;
  return {
      size(FIELD(cache.memory), 0, 1024 * 1024 * kMiB),
      size(FIELD(cache.object_size), kMiB / 16, 64 * kMiB),
      duration(FIELD(cache.playlist_age), 0s, kHour),
      duration(FIELD(cache.segment_age), 0s, kHour),
      size(FIELD(cache.live_window), kMiB / 4, 64 * kMiB),
      duration(FIELD(cache.live_batch), 10ms, 1s),
      duration(FIELD(cache.linger), 0s, 60s),
      patterns(FIELD(cache.ignore_no_store)),
  };
}

#undef FIELD

}  // namespace

const std::vector<ConfigKey>& config_keys() {
  static const std::vector<ConfigKey> kKeys = [] {
    std::vector<ConfigKey> all = general_keys();
    for (auto& more : {upstream_keys(), upstream_request_keys(), answer_keys(), security_keys(),
                       limits_keys(), log_keys(), cache_keys(), admin_keys()}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }();
  return kKeys;
}

const ConfigKey* find_config_key(std::string_view path) {
  for (const ConfigKey& key : config_keys()) {
    if (key.path == path) return &key;
  }
  return nullptr;
}

bool is_config_section(std::string_view path) {
  const std::string prefix = std::string(path) + ".";
  return std::any_of(config_keys().begin(), config_keys().end(),
                     [&](const ConfigKey& key) { return key.path.starts_with(prefix); });
}

}  // namespace streamgate
