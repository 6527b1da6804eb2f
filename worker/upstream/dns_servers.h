// The machine's name servers, in the order in which a question asks them, and its search rules.
// resolv.conf is read again when it has changed.
//
// A server that has answered nothing since it was asked goes to the end of the order, so a dead
// server costs one wait in all, not one for each name. Every 30 s one question is sent to it in
// addition to the server that is asked first. After its first answer it has its place again.
#pragma once

#include <event2/event.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/config.h"
#include "worker/loop/timer_wheel.h"
#include "worker/upstream/dns_channel.h"
#include "worker/upstream/file_watch.h"
#include "worker/upstream/resolv_conf.h"

namespace streamgate {

class DnsServer final : private DnsChannel::Observer {
 public:
  DnsServer(event_base* base, TimerWheel& wheel, const DnsChannel::Settings& settings, uint32_t id);

  // A query is asked from a source port that at most 512 queries share.
  void ask(const std::string& name, const std::shared_ptr<DnsQuery>& query);
  // The caller has waited for the answer to `query` and now asks another server.
  void note_wait(const DnsQuery& query);
  // Whether a question should also ask this server as a probe. If true, the caller must ask it.
  bool takes_probe();

  uint32_t id() const { return id_; }
  bool is_suspect() const { return suspect_since_ms_ != 0; }
  int64_t last_answer_ms() const { return last_answer_ms_; }

 private:
  void on_server_answer(const DnsAnswer& answer) override;
  void suspect(std::string_view why);

  event_base* base_;
  TimerWheel& wheel_;
  DnsChannel::Settings settings_;
  const uint32_t id_;
  int64_t last_answer_ms_ = 0;
  int64_t suspect_since_ms_ = 0;  // 0: it answers
  int64_t next_probe_ms_ = 0;
  int64_t next_warning_ms_ = 0;
  bool is_reported_ = false;  // the log says that it is silent
  std::unique_ptr<DnsChannel> channel_;
  std::vector<std::unique_ptr<DnsChannel>> retired_;  // with open queries
};

class DnsServers {
 public:
  // `timeout`: the time that a question has in all.
  DnsServers(event_base* base, TimerWheel& wheel, const std::string& resolv_conf,
             Milliseconds timeout);

  // Reads resolv.conf if it has changed; queries to the earlier servers are then abandoned. After
  // the first call an empty or missing file changes nothing. Not allowed from inside a
  // DnsQuery::Observer.
  void refresh();

  // The first server in order whose id is not in `asked`; nullptr if all are.
  DnsServer* next(const std::vector<uint32_t>& asked) const;
  DnsServer* find(uint32_t id) const;  // nullptr: no longer in resolv.conf
  // A suspect server whose time for a probe has come, or nullptr.
  DnsServer* probe() const;

  std::vector<std::string> candidates(const std::string& host) const {
    return conf_.candidates(host);
  }

 private:
  event_base* base_;
  TimerWheel& wheel_;
  Milliseconds query_timeout_;
  FileWatch watch_;
  ResolvConf conf_;
  uint32_t next_id_ = 0;
  std::vector<std::unique_ptr<DnsServer>> servers_;
};

}  // namespace streamgate
