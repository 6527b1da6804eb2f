// A name server on loopback made of libevent's, and a fixture with a Resolver that asks it.
#pragma once

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/ascii.h"
#include "common/clock.h"
#include "tests/unit/upstream_peers.h"
#include "worker/upstream/resolver.h"

namespace streamgate {

using namespace testing_peers;  // NOLINT: used throughout

// A name server on loopback that answers from `zones`.
class StubDns {
 public:
  struct Zone {
    std::vector<std::string> v4;
    std::vector<std::string> v6;
    int ttl = 60;
    bool v4_silent = false;
    bool v6_silent = false;
    int error = DNS_ERR_NONE;
    int ignored = 0;  // questions, of both families, that get no answer before the others do
  };

  explicit StubDns(event_base* base) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address = bind_to_loopback(fd);
    port_ = evdns_add_server_port_with_base(base, fd, 0, &StubDns::on_question, this);
  }
  ~StubDns() {
    for (auto* request : held) evdns_server_request_drop(request);
    evdns_close_server_port(port_);
  }
  StubDns(const StubDns&) = delete;
  StubDns& operator=(const StubDns&) = delete;

  SocketAddress address;
  std::map<std::string, Zone> zones;
  std::map<std::string, int> asked;  // questions by name, both families
  std::vector<evdns_server_request*> held;

 private:
  static void on_question(evdns_server_request* request, void* self) {
    static_cast<StubDns*>(self)->answer(request);
  }
  void answer(evdns_server_request* request) {
    const evdns_server_question& question = *request->questions[0];
    const std::string name = ascii::lower(question.name);
    ++asked[name];
    const auto zone = zones.find(name);
    if (zone == zones.end()) {
      evdns_server_request_respond(request, DNS_ERR_NOTEXIST);
      return;
    }
    const bool is_v4 = question.type == EVDNS_TYPE_A;
    if (is_v4 ? zone->second.v4_silent : zone->second.v6_silent) return held.push_back(request);
    if (asked[name] <= zone->second.ignored) return held.push_back(request);
    for (const std::string& text : is_v4 ? zone->second.v4 : zone->second.v6) {
      const IpAddress address_of_name = *IpAddress::parse(text);
      if (is_v4) {
        evdns_server_request_add_a_reply(request, question.name, 1, address_of_name.bytes.data(),
                                         zone->second.ttl);
      } else {
        evdns_server_request_add_aaaa_reply(request, question.name, 1, address_of_name.bytes.data(),
                                            zone->second.ttl);
      }
    }
    evdns_server_request_respond(request, zone->second.error);
  }

  evdns_server_port* port_;
};

struct Waiting final : Resolver::Observer {
  void on_resolved(const ResolvedName& found) override {
    ++calls;
    full_name = found.full_name;
    for (const IpAddress& address : found.addresses) addresses.push_back(address.to_string());
    if (then) then();
  }
  void on_resolve_failed(Error why) override {
    ++calls;
    error = std::move(why);
    if (then) then();
  }
  std::optional<IpAddress> client() const override { return from; }
  std::optional<Reason> reason() const {
    return error ? std::optional<Reason>(error->reason) : std::nullopt;
  }
  int calls = 0;
  std::optional<IpAddress> from;
  std::string full_name;
  std::vector<std::string> addresses;
  std::optional<Error> error;
  Resolver::LookupHandle lookup;
  std::function<void()> then;
};

using Texts = std::vector<std::string>;

class ResolverTest : public testing::Test {
 protected:
  ResolverTest() {
    std::filesystem::create_directories(folder);
    files = {folder + "/resolv.conf", folder + "/hosts"};
    write(files.resolv_conf, nameserver(*dns));
    write(files.hosts, "");
    config.dns_timeout = Milliseconds{5000};  // no repetition for 1 s
  }
  ~ResolverTest() override {
    resolver.reset();
    dns.reset();
    settle(base.get());
    std::filesystem::remove_all(folder);
  }
  static std::string nameserver(const StubDns& server) {
    return "nameserver " + server.address.to_string() + "\n";
  }
  static void write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::trunc) << text;
  }
  bool until(const std::function<bool()>& done) { return run_until(base.get(), done); }
  void make() { resolver = std::make_unique<Resolver>(base.get(), wheel, config, files); }

  // The addresses, at once or from the event loop; empty on failure, which `waiting` holds.
  Texts resolve(const std::string& host) {
    if (!resolver) make();
    waiting = std::make_unique<Waiting>();
    const auto* known = resolver->resolve(host, *waiting, waiting->lookup);
    was_known = known != nullptr;
    if (known != nullptr) {
      Texts texts;
      for (const IpAddress& address : known->addresses) texts.push_back(address.to_string());
      return texts;
    }
    EXPECT_EQ(waiting->calls, 0);  // never from inside resolve()
    EXPECT_TRUE(until([&] { return waiting->calls > 0; }));
    EXPECT_EQ(waiting->calls, 1);
    return waiting->addresses;
  }

  EventBase base{event_base_new()};
  static int64_t shifted_clock() { return monotonic_ms() + shift_ms; }

  static inline int64_t shift_ms = 0;
  TimerWheel wheel{base.get(), shifted_clock};
  UpstreamConfig config;
  std::unique_ptr<StubDns> dns = std::make_unique<StubDns>(base.get());
  std::string folder = ::testing::TempDir() + "streamgate_dns_" + std::to_string(::getpid());
  Resolver::Files files;
  std::unique_ptr<Resolver> resolver;
  std::unique_ptr<Waiting> waiting;
  bool was_known = false;
};

}  // namespace streamgate
