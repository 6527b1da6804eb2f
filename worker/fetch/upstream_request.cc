#include "worker/fetch/upstream_request.h"

#include <algorithm>
#include <utility>

#include "worker/fetch/cookies.h"
#include "worker/http/field_rules.h"
#include "worker/http/head_writer.h"
#include "worker/upstream/proxy_handshake.h"

namespace streamgate {
namespace {

// Below 1 KiB: the C library's allocator serves such blocks from the thread's cache.
constexpr size_t kUsualRequestBytes = 960;

// The User-Agent of a current Chrome on Windows. Many upstreams refuse others.
constexpr std::string_view kBrowserUserAgent =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36";

// The parts of one upstream request; lives as long as write_upstream_request() runs.
class UpstreamRequestWriter {
 public:
  UpstreamRequestWriter(const UpstreamAttempt& attempt, const FetchRequest& request,
                        const HostSettings& settings)
      : attempt_(attempt),
        request_(request),
        settings_(settings),
        config_(settings.config),
        page_(attempt.url.origin() + "/") {}

  std::string write() {
    write_request_line();
    head_.field("Host", authority());
    write_user_agent();
    if (!write_forwarded("Accept")) write_ours("Accept", "*/*");
    write_forwarded("Accept-Language");
    write_forwarded("Icy-MetaData");
    write_reports();
    write_ours("Accept-Encoding", "identity");
    write_range_and_conditions();
    if (attempt_.send_referer_and_origin) write_referer_and_origin();
    for (const auto& [name, value] : request_.headers) {
      if (value.empty() || !is_sent(name)) continue;
      if (!attempt_.cookies.empty() && ascii::iequals(name, "Cookie")) continue;
      head_.field(name, value);
    }
    if (!attempt_.authorization.empty()) head_.field("Authorization", attempt_.authorization);
    for (const auto& [name, value] : settings_.headers) {
      if (is_in(request_.headers, name)) continue;
      if (!attempt_.authorization.empty() && ascii::iequals(name, "Authorization")) continue;
      if (!attempt_.cookies.empty() && ascii::iequals(name, "Cookie")) continue;
      head_.field(name, value);
    }
    if (!attempt_.cookies.empty()) write_cookies();
    if (!attempt_.cdn_loop.empty()) head_.field("CDN-Loop", attempt_.cdn_loop);
    if (config_.send_via) head_.field("Via", "1.1 streamgate");
    return std::move(head_).finish();
  }

 private:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  void write_request_line() {
    const bool is_head = request_.method == Method::head && !attempt_.get_instead_of_head;
    const std::string_view method = is_head ? "HEAD" : "GET";
    if (!settings_.sends_absolute_form(attempt_.url)) {
      return head_.request_line(method, attempt_.url.path_and_query);
    }
    head_.request_line(method, attempt_.url.to_string());
    const std::string credentials = proxy_authorization(config_.proxy);
    if (!credentials.empty()) head_.field("Proxy-Authorization", credentials);
  }

  std::string_view origin() const { return std::string_view(page_).substr(0, page_.size() - 1); }
  std::string_view authority() const {
    return origin().substr(attempt_.url.scheme().size() + std::string_view("://").size());
  }

  bool is_sent(std::string_view name) const {
    if (!attempt_.authorization.empty() && ascii::iequals(name, "Authorization")) return false;
    return !attempt_.cross_origin || !is_secret_header(name);
  }

  static bool is_in(const Headers& headers, std::string_view name) {
    return std::any_of(headers.begin(), headers.end(),
                       [&](const auto& header) { return ascii::iequals(header.first, name); });
  }

  bool is_overridden(std::string_view name) const {
    return is_in(request_.headers, name) || is_in(settings_.headers, name);
  }

  void write_ours(std::string_view name, std::string_view value) {
    if (!value.empty() && !is_overridden(name)) head_.field(name, value);
  }

  // False if the client sent none.
  bool write_forwarded(std::string_view name) {
    bool found = false;
    for (const ForwardedField& field : request_.forwarded) {
      if (field.name != name) continue;
      write_ours(name, field.value);
      found = true;
    }
    return found;
  }

  // The reports of a player about itself: CMCD (CTA-5004), and AVPlayer's session.
  void write_reports() {
    for (const auto& [name, value] : request_.forwarded) {
      const bool is_report = name.starts_with("CMCD-") || name == "X-Playback-Session-Id";
      if (is_report) write_ours(name, value);
    }
  }

  void write_cookies() {
    std::string own;
    const bool is_in_link = is_in(request_.headers, "Cookie");
    for (const auto& [name, value] : is_in_link ? request_.headers : settings_.headers) {
      if (!ascii::iequals(name, "Cookie") || (is_in_link && !is_sent(name))) continue;
      if (value.empty()) return;  // an empty h_Cookie: no Cookie is sent
      if (!own.empty()) own += "; ";
      own += value;
    }
    head_.field("Cookie", merge_cookies(own, attempt_.cookies));
  }

  void write_range_and_conditions() {
    if (!attempt_.our_range.empty()) {
      head_.field("Range", attempt_.our_range);
      if (!attempt_.our_if_range.empty()) head_.field("If-Range", attempt_.our_if_range);
      return;
    }
    if (attempt_.send_range && write_forwarded("Range")) write_forwarded("If-Range");
    if (!attempt_.send_conditions) return;
    write_forwarded("If-None-Match");
    write_forwarded("If-Modified-Since");
  }

  void write_user_agent() {
    switch (config_.user_agent.kind) {
      case HeaderPolicy::Kind::browser:
      case HeaderPolicy::Kind::target:
        return write_ours("User-Agent", attempt_.player_agent.empty() ? kBrowserUserAgent
                                                                      : attempt_.player_agent);
      case HeaderPolicy::Kind::client:
        write_forwarded("User-Agent");
        return;
      case HeaderPolicy::Kind::literal:
        return write_ours("User-Agent", config_.user_agent.text);
      case HeaderPolicy::Kind::none:
        return;
    }
  }

  // The request's referer wins over the configuration, and the Origin follows it unless the
  // configuration says `origin: none`.
  void write_referer_and_origin() {
    if (!request_.referer) {
      write_by_policy("Referer", config_.referer, page_);
      write_by_policy("Origin", config_.origin, origin());
      return;
    }
    write_ours("Referer", *request_.referer);
    if (config_.origin.kind == HeaderPolicy::Kind::none) return;
    if (const auto page = parse_http_url(*request_.referer)) write_ours("Origin", page->origin());
  }

  void write_by_policy(std::string_view name, const HeaderPolicy& policy,
                       std::string_view of_target) {
    switch (policy.kind) {
      case HeaderPolicy::Kind::target:
        return write_ours(name, of_target);
      case HeaderPolicy::Kind::client:
        write_forwarded(name);
        return;
      case HeaderPolicy::Kind::literal:
        return write_ours(name, policy.text);
      case HeaderPolicy::Kind::browser:
      case HeaderPolicy::Kind::none:
        return;
    }
  }

  const UpstreamAttempt& attempt_;
  const FetchRequest& request_;
  const HostSettings& settings_;
  const UpstreamConfig& config_;
  const std::string page_;  // the first page of the target's origin: `https://host/`
  HeadWriter head_{kUsualRequestBytes};
};

}  // namespace

std::string write_upstream_request(const UpstreamAttempt& attempt, const FetchRequest& request,
                                   const HostSettings& settings) {
  return UpstreamRequestWriter(attempt, request, settings).write();
}

}  // namespace streamgate
