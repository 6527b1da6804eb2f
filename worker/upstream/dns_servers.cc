#include "worker/upstream/dns_servers.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/log.h"

namespace streamgate {
namespace {

// A forged answer has to guess a source port and a query id. c-ares keeps the socket of a channel
// while it has queries, so a busy channel would never change its port.
constexpr unsigned kMaxQueriesPerChannel = 512;
constexpr int64_t kProbeEveryMs = 30'000;
constexpr int64_t kWarnEveryMs = 60'000;
// c-ares drops a query after this time, so a long upstream.dns_timeout does not accumulate queries.
constexpr Milliseconds kMaxQueryTime{10'000};

}  // namespace

DnsServer::DnsServer(event_base* base, TimerWheel& wheel, const DnsChannel::Settings& settings,
                     uint32_t id)
    : base_(base), wheel_(wheel), settings_(settings), id_(id) {}

void DnsServer::ask(const std::string& name, const std::shared_ptr<DnsQuery>& query) {
  if (!channel_ || channel_->asked() >= kMaxQueriesPerChannel ||
      channel_->uses_edns() != settings_.uses_edns) {
    std::erase_if(retired_, [](const auto& channel) { return channel->open() == 0; });
    if (channel_ && channel_->open() > 0) retired_.push_back(std::move(channel_));
    channel_ =
        std::make_unique<DnsChannel>(base_, settings_, static_cast<DnsChannel::Observer&>(*this));
  }
  query->server = id_;
  channel_->ask(name, query);
}

void DnsServer::note_wait(const DnsQuery& query) {
  if (last_answer_ms_ < query.asked_ms) suspect("no answer");
}

void DnsServer::suspect(std::string_view why) {
  if (is_suspect()) return;
  const int64_t now = wheel_.now_ms();
  suspect_since_ms_ = now;
  next_probe_ms_ = now + kProbeEveryMs;
  if (now < next_warning_ms_) return;
  next_warning_ms_ = now + kWarnEveryMs;
  is_reported_ = true;
  log::warn("dns.server_silent", {{"server", settings_.server.to_string()}, {"detail", why}});
}

bool DnsServer::takes_probe() {
  const int64_t now_ms = wheel_.now_ms();
  if (!is_suspect() || now_ms < next_probe_ms_) return false;
  next_probe_ms_ = now_ms + kProbeEveryMs;
  return true;
}

void DnsServer::on_server_answer(const DnsAnswer& answer) {
  if (answer.kind == DnsAnswer::Kind::unreachable) suspect(answer.detail);
  if (!answer.is_from_server()) return;
  if (answer.kind == DnsAnswer::Kind::no_edns) settings_.uses_edns = false;
  last_answer_ms_ = wheel_.now_ms();
  if (std::exchange(is_reported_, false)) {
    log::info("dns.server_answers", {{"server", settings_.server.to_string()},
                                     {"after_ms", last_answer_ms_ - suspect_since_ms_}});
  }
  suspect_since_ms_ = 0;
}

DnsServers::DnsServers(event_base* base, TimerWheel& wheel, const std::string& resolv_conf,
                       Milliseconds timeout)
    : base_(base),
      wheel_(wheel),
      query_timeout_(std::clamp(timeout, Milliseconds{50}, kMaxQueryTime)),
      watch_(resolv_conf) {}

void DnsServers::refresh() {
  if (!watch_.has_changed(wheel_.now_ms()) && !servers_.empty()) return;
  const std::string text = watch_.read();
  if (text.empty() && !servers_.empty()) return;  // the file is missing, or is being written
  conf_ = ResolvConf::parse(text);
  const auto before = std::exchange(servers_, {});
  for (const SocketAddress& address : conf_.servers) {
    servers_.push_back(std::make_unique<DnsServer>(
        base_, wheel_, DnsChannel::Settings{address, query_timeout_, true}, ++next_id_));
  }
}

DnsServer* DnsServers::next(const std::vector<uint32_t>& asked) const {
  DnsServer* best = nullptr;
  for (const auto& server : servers_) {
    if (std::find(asked.begin(), asked.end(), server->id()) != asked.end()) continue;
    if (!server->is_suspect()) return server.get();
    // The suspect that answered last comes first.
    if (best == nullptr || server->last_answer_ms() > best->last_answer_ms()) best = server.get();
  }
  return best;
}

DnsServer* DnsServers::find(uint32_t id) const {
  for (const auto& server : servers_) {
    if (server->id() == id) return server.get();
  }
  return nullptr;
}

DnsServer* DnsServers::probe() const {
  if (servers_.size() < 2) return nullptr;
  for (const auto& server : servers_) {
    if (server->takes_probe()) return server.get();
  }
  return nullptr;
}

}  // namespace streamgate
