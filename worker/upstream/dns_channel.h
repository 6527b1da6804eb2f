// Queries to one name server through c-ares, with EDNS and with TCP after a truncated answer.
// Answers with a wrong id, question or sender are dropped.
//
// c-ares runs in the worker's event loop: it reports its sockets, and a timer fires at the earliest
// timeout of a query.
#pragma once

#include <ares.h>
#include <event2/event.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/config.h"
#include "common/ip_address.h"
#include "common/socket_address.h"
#include "worker/loop/event.h"

namespace streamgate {

enum class IpFamily { v6, v4 };

struct DnsAnswer {
  enum class Kind {
    addresses,
    no_address,    // the name exists
    no_such_name,  // NXDOMAIN
    bad_name,      // cannot be written in DNS
    no_edns,       // FORMERR to a query with EDNS: the server does not know it
    failed,        // SERVFAIL, REFUSED or another error code, or an answer that cannot be parsed
    unreachable,   // ICMP, or no socket or TCP connection
    silent,        // no answer in time
    abandoned,     // the channel is being destroyed
  };
  Kind kind;
  const char* detail;                // for logs; static
  std::vector<IpAddress> addresses;  // at most kMaxAddresses
  int64_t ttl_ms = 0;                // the shortest of the addresses and aliases

  static constexpr size_t kMaxAddresses = 32;

  // Whether the server itself sent it.
  bool is_from_server() const {
    return kind == Kind::addresses || kind == Kind::no_address || kind == Kind::no_such_name ||
           kind == Kind::no_edns || kind == Kind::failed;
  }
};

// One question of a type A or AAAA. The channel and the asker share it, because c-ares cannot
// cancel a single query.
struct DnsQuery {
  // Implemented by the asker.
  class Observer {
   public:
    // Called once, from inside c-ares, possibly inside ask(). It may only store the answer.
    virtual void on_answer(DnsQuery& query, DnsAnswer answer) = 0;

   protected:
    ~Observer() = default;
  };

  Observer* observer;  // nullptr: the answer is ignored
  IpFamily family;
  int64_t asked_ms;
  uint32_t server;  // DnsServer::id
  bool is_open = true;
};

class DnsChannel {
 public:
  // Sees each answer, including answers that no asker waits for.
  class Observer {
   public:
    virtual void on_server_answer(const DnsAnswer& answer) = 0;

   protected:
    ~Observer() = default;
  };

  struct Settings {
    SocketAddress server;
    Milliseconds timeout;  // of each query
    bool uses_edns;
  };

  // `observer` outlives the channel.
  DnsChannel(event_base* base, const Settings& settings, Observer& observer);
  // Ends open queries. Not allowed from inside a callback of the channel.
  ~DnsChannel();
  DnsChannel(const DnsChannel&) = delete;
  DnsChannel& operator=(const DnsChannel&) = delete;

  void ask(const std::string& name, const std::shared_ptr<DnsQuery>& query);

  bool uses_edns() const { return uses_edns_; }
  unsigned asked() const { return asked_; }
  unsigned open() const { return open_; }

 private:
  struct Pending {
    DnsChannel& channel;
    std::shared_ptr<DnsQuery> query;
  };
  using Channel = std::unique_ptr<ares_channeldata, Freer<ares_destroy>>;

  static Channel make(const Settings& settings, DnsChannel& self);
  static void on_socket_state(void* self, ares_socket_t fd, int readable, int writable);
  static void on_socket(evutil_socket_t fd, short what, void* self);
  static void on_answer(void* pending, int status, int timeouts, unsigned char* bytes, int length);
  void watch(ares_socket_t fd, short what);
  void process(ares_socket_t readable, ares_socket_t writable);
  void on_timer();
  void arm_timer();

  event_base* base_;
  Observer& observer_;
  const bool uses_edns_;
  unsigned asked_ = 0;
  unsigned open_ = 0;
  std::unordered_map<ares_socket_t, Event> sockets_;
  Event timer_;
  Channel channel_;  // last: its destruction calls on_answer() and on_socket_state()
};

}  // namespace streamgate
