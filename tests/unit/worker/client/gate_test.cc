// Before evhtp's headers, which define the names of <regex.h> as macros.
#include <gtest/gtest.h>
// clang-format off
#include "worker/client/gate.h"
// clang-format on
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/socket_address.h"
#include "common/unique_fd.h"
#include "tests/unit/loopback.h"
#include "tests/unit/upstream_peers.h"
#include "worker/loop/reaper.h"

namespace streamgate {
namespace {

using std::chrono::milliseconds;
using testing_peers::run_until;

constexpr std::string_view kRequest = "GET /one HTTP/1.1\r\nHost: a.test\r\n\r\n";
constexpr std::string_view kSecondRequest = "GET /two HTTP/1.1\r\nHost: a.test\r\n\r\n";
constexpr char kAnswer[] = "HTTP/1.1 204 No Content\r\n\r\n";

size_t open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

// The client's end of a loopback connection.
class Client {
 public:
  explicit Client(const SocketAddress& server)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    EXPECT_EQ(::connect(fd_.get(), server.native(), server.length()), 0);
  }
  void send(std::string_view bytes) {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void leave() { fd_.reset(); }
  // Takes everything that has arrived. Call it again until the expected bytes or end are there.
  void receive() {
    char bytes[4096];
    ssize_t got = 0;
    while (!is_over() && (got = ::recv(fd_.get(), bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
      received.append(bytes, static_cast<size_t>(got));
    }
    if (is_over()) return;
    if (got == 0) ended = true;
    if (got < 0 && errno == ECONNRESET) reset = true;
  }
  bool is_over() const { return ended || reset; }

  std::string received;
  bool ended = false;
  bool reset = false;

 private:
  UniqueFd fd_;
};

// Gates on connections that evhtp has accepted, as Server makes them.
class ClientGateTest : public testing::Test,
                       protected ClientGate::Observer,
                       protected ClientStream::Observer {
 protected:
  using Htp = std::unique_ptr<evhtp_t, Freer<evhtp_free>>;

  ClientGateTest() {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address = testing_peers::bind_to_loopback(listener);
    EXPECT_EQ(::listen(listener, 16), 0);
    evhtp_set_post_accept_cb(htp.get(), &ClientGateTest::on_accepted, this);
    EXPECT_EQ(evhtp_accept_socket(htp.get(), listener, 0), 0);
    config.header_timeout = config.keepalive_timeout = milliseconds{5'000};
    descriptors = open_descriptors();
  }

  // No gate and no descriptor is left once the client is gone.
  ~ClientGateTest() override {
    client.reset();
    EXPECT_TRUE(until([&] { return gates.empty() && open_descriptors() == descriptors; }));
    reaper.reap();
    EXPECT_EQ(closed, accepted);
    evhtp_unbind_socket(htp.get());
    htp.reset();
  }

  static evhtp_res on_accepted(evhtp_connection_t* connection, void* self) {
    auto& test = *static_cast<ClientGateTest*>(self);
    auto gate = std::make_unique<ClientGate>(test.environment, connection, nullptr, test.preface);
    ++test.accepted;
    ClientGate* key = gate.get();
    if (test.refuse_with) key->refuse_requests(*test.refuse_with);
    test.gates.emplace(key, std::move(gate));
    return EVHTP_RES_OK;
  }
  void on_request(ClientGate& gate) override {
    targets.emplace_back(gate.stream().head().target);
    gate.stream().set_observer(*this);
  }
  void on_peer_named(ClientGate&) override { ++named; }
  void on_bad_proxy_header(const ClientGate&, const Error&) override { ++bad_headers; }
  void on_refused(const ClientGate&, const Error& error) override {
    refused.push_back(error.reason);
  }
  void on_gate_closed(ClientGate& gate) override {
    ++closed;
    const auto found = gates.find(&gate);
    ASSERT_NE(found, gates.end());
    reaper.retire(std::move(found->second));
    gates.erase(found);
  }
  void on_client_drained() override {}
  void on_client_gone(Reason reason) override { gone.push_back(reason); }

  void connect() {
    client = std::make_unique<Client>(address);
    ASSERT_TRUE(until([&] { return accepted == 1; }));
  }
  void connect_and_send(std::string_view bytes) {
    connect();
    client->send(bytes);
  }
  void answer() {
    ClientStream& stream = gate().stream();
    stream.send_head(kAnswer, {ClientFraming::Kind::none, 0}, gate().may_keep_alive());
    stream.finish();
  }
  // The answers without their ids.
  std::string received() const {
    std::string text = client->received;
    for (size_t at; (at = text.find("X-Streamgate-Id: ")) != text.npos;) {
      text.erase(at, text.find('\n', at) + 1 - at);
    }
    return text;
  }
  ClientGate& gate() { return *gates.begin()->first; }
  bool until(const std::function<bool()>& done) { return run_until(base.get(), done); }
  bool until_requests(size_t count) {
    return until([&] { return targets.size() == count; });
  }
  bool until_over() {
    return until([&] {
      client->receive();
      return client->is_over();
    });
  }
  void settle() { testing_peers::settle(base.get()); }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  Reaper reaper{base.get()};
  ClientConfig config;
  LimitsConfig limits;
  CorsConfig cors;
  ErrorsConfig errors;
  Counters counters;
  std::vector<IpRange> trusted{*IpRange::parse("127.0.0.1")};
  ClientGate::Environment environment{wheel,
                                      config,
                                      limits,
                                      cors,
                                      errors,
                                      ClientAddress::x_forwarded_for,
                                      trusted,
                                      true,
                                      *this,
                                      counters,
                                      ClientIntakes(limits)};
  Htp htp{evhtp_new(base.get(), nullptr)};
  SocketAddress address;
  std::optional<Reason> refuse_with;
  ClientGate::Preface preface = ClientGate::Preface::none;
  int named = 0;
  int bad_headers = 0;
  std::unordered_map<ClientGate*, std::unique_ptr<ClientGate>> gates;
  std::unique_ptr<Client> client;
  size_t descriptors = 0;
  int accepted = 0;
  int closed = 0;
  std::vector<std::string> targets;  // of the requests that passed
  std::vector<Reason> refused;
  std::vector<Reason> gone;
};

TEST_F(ClientGateTest, HandsOnARequestOnceItsHeadIsComplete) {
  connect_and_send(kRequest.substr(0, kRequest.size() - 1));
  settle();
  EXPECT_TRUE(targets.empty());
  client->send(kRequest.substr(kRequest.size() - 1));
  ASSERT_TRUE(until_requests(1));
  EXPECT_EQ(targets[0], "/one");
  EXPECT_EQ(gate().stream().head().method, Method::get);
  EXPECT_TRUE(gate().peer().to_string().starts_with("127.0.0.1:"));
  answer();
  EXPECT_TRUE(until([&] {
    client->receive();
    return received() == kAnswer;
  }));
}

TEST_F(ClientGateTest, KeepsTheConnectionForTheNextRequest) {
  connect_and_send(kRequest);
  ASSERT_TRUE(until_requests(1));
  ASSERT_TRUE(gate().may_keep_alive());
  answer();
  client->send(kSecondRequest);
  ASSERT_TRUE(until_requests(2));
  EXPECT_EQ(targets[1], "/two");
  EXPECT_EQ(accepted, 1);
}

TEST_F(ClientGateTest, AMalformedHeadGets400AndAClose) {
  connect_and_send("GET /one HTTP/1.1\r\nHost: a.test\r\nbad field\r\n\r\n");
  ASSERT_TRUE(until_over());
  EXPECT_TRUE(client->ended);
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 400 ")) << client->received;
  EXPECT_EQ(refused, std::vector{Reason::bad_request});
  EXPECT_EQ(counters[Counter::requests_refused].load(), 1U);
  EXPECT_TRUE(targets.empty());
}

TEST_F(ClientGateTest, APipelinedRequestWaitsForTheAnswerToTheFirst) {
  connect_and_send(std::string(kRequest) + std::string(kSecondRequest));
  ASSERT_TRUE(until_requests(1));
  settle();
  EXPECT_EQ(targets.size(), 1U);
  answer();
  EXPECT_EQ(targets.size(), 1U);  // never from inside finish()
  ASSERT_TRUE(until_requests(2));
  EXPECT_EQ(targets[1], "/two");
  answer();
  EXPECT_TRUE(until([&] {
    client->receive();
    return received() == std::string(kAnswer) + kAnswer;
  }));
}

TEST_F(ClientGateTest, AHeadThatIsNeverCompleteGets408AtTheLimit) {
  config.header_timeout = milliseconds{300};
  const int64_t start = wheel.now_ms();
  connect_and_send("GET /one HTTP/1.1\r\nHost:");
  ASSERT_TRUE(until_over());
  EXPECT_GE(wheel.now_ms() - start, 300);
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 408 ")) << client->received;
  EXPECT_EQ(refused, std::vector{Reason::request_timeout});
}

TEST_F(ClientGateTest, AConnectionWithoutARequestIsClosedWithoutAnAnswer) {
  config.header_timeout = milliseconds{200};
  connect();
  ASSERT_TRUE(until_over());
  EXPECT_EQ(client->received, "");
  EXPECT_TRUE(refused.empty());
}

TEST_F(ClientGateTest, AnIdleConnectionIsClosedAfterTheKeepaliveTimeout) {
  config.keepalive_timeout = milliseconds{200};
  connect_and_send(kRequest);
  ASSERT_TRUE(until_requests(1));
  answer();
  ASSERT_TRUE(until_over());
  EXPECT_TRUE(client->ended);
  EXPECT_EQ(received(), kAnswer);
}

TEST_F(ClientGateTest, AClientThatLeavesDuringARequestIsReportedOnce) {
  connect_and_send(kRequest);
  ASSERT_TRUE(until_requests(1));
  client->leave();
  ASSERT_TRUE(until([&] { return gates.empty(); }));
  settle();
  EXPECT_EQ(gone, std::vector{Reason::client_gone});
  EXPECT_EQ(closed, 1);
}

TEST_F(ClientGateTest, AClientThatLeavesBetweenRequestsIsNotReported) {
  connect_and_send(kRequest);
  ASSERT_TRUE(until_requests(1));
  answer();
  client->leave();
  ASSERT_TRUE(until([&] { return gates.empty(); }));
  EXPECT_TRUE(gone.empty());
}

TEST_F(ClientGateTest, AnAbortedAnswerResetsTheConnection) {
  connect_and_send(kRequest);
  ASSERT_TRUE(until_requests(1));
  gate().stream().send_head(kAnswer, {ClientFraming::Kind::length, 100}, true);
  EXPECT_EQ(gate().stream().write("part"), ClientStream::Flow::open);
  gate().stream().abort();
  ASSERT_TRUE(until_over());
  EXPECT_TRUE(client->reset);
}

TEST_F(ClientGateTest, ACutAnswerInChunksClosesInOrder) {
  connect_and_send(kRequest);
  ASSERT_TRUE(until_requests(1));
  gate().stream().send_head(kAnswer, {ClientFraming::Kind::chunked, 0}, true);
  EXPECT_EQ(gate().stream().write("part"), ClientStream::Flow::open);
  gate().stream().cut();
  ASSERT_TRUE(until_over());
  EXPECT_TRUE(client->ended);
  EXPECT_TRUE(client->received.ends_with("4\r\npart\r\n")) << client->received;
}

TEST_F(ClientGateTest, ACutAnswerThatEndsByCloseIsResetAfterItsBytes) {
  connect_and_send(kRequest);
  ASSERT_TRUE(until_requests(1));
  gate().stream().send_head(kAnswer, {ClientFraming::Kind::until_close, 0}, false);
  EXPECT_EQ(gate().stream().write("part"), ClientStream::Flow::open);
  gate().stream().cut();
  ASSERT_TRUE(until_over());
  EXPECT_TRUE(client->reset);
  EXPECT_TRUE(client->received.ends_with("part")) << client->received;
}

TEST_F(ClientGateTest, ARefusedConnectionGetsItsReasonForEveryRequest) {
  refuse_with = Reason::overloaded;
  connect_and_send(kRequest);
  ASSERT_TRUE(until_over());
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 503 ")) << client->received;
  EXPECT_EQ(refused, std::vector{Reason::overloaded});
  EXPECT_TRUE(targets.empty());
}

TEST_F(ClientGateTest, EndRefusedAnswersWithoutARequest) {
  refuse_with = Reason::rate_limited;
  connect();
  gate().end_refused();
  ASSERT_TRUE(until_over());
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 429 ")) << client->received;
  EXPECT_NE(client->received.find("\r\nRetry-After: 5\r\n"), std::string::npos);
  EXPECT_EQ(refused, std::vector{Reason::rate_limited});
}

TEST_F(ClientGateTest, ARefusedConnectionIsClosedFirst) {
  refuse_with = Reason::overloaded;
  connect_and_send(kRequest.substr(0, 10));
  settle();
  EXPECT_EQ(environment.idle.oldest_refused(), &gate());
  client->send(kRequest.substr(10));
  ASSERT_TRUE(until([&] { return !refused.empty(); }));
  EXPECT_EQ(environment.idle.oldest_refused(), &gate());
}

TEST_F(ClientGateTest, AnIdleConnectionIsClosedForANewOne) {
  connect();
  EXPECT_EQ(environment.idle.longest_idle(0), &gate());
  EXPECT_TRUE(gate().close_if_idle());
  EXPECT_TRUE(gates.empty());
}

TEST_F(ClientGateTest, UnreadRequestBytesKeepTheConnection) {
  connect();
  client->send(kRequest);
  EXPECT_FALSE(gate().close_if_idle());
  EXPECT_EQ(environment.idle.longest_idle(0), nullptr);
  ASSERT_TRUE(until_requests(1));
  answer();
  EXPECT_EQ(environment.idle.longest_idle(0), &gate());
}

TEST_F(ClientGateTest, AConnectionWithARequestIsNotIdle) {
  connect_and_send(kRequest);
  ASSERT_TRUE(until_requests(1));
  EXPECT_EQ(environment.idle.longest_idle(wheel.now_ms() + 1'000'000), nullptr);
  answer();
  client->send(kRequest.substr(0, 10));
  ASSERT_TRUE(until([&] { return environment.idle.longest_idle(wheel.now_ms()) == nullptr; }));
  // A part of a request protects the connection for two seconds.
  EXPECT_EQ(environment.idle.longest_idle(wheel.now_ms() + 2'000), &gate());
}

TEST_F(ClientGateTest, AProxyHeaderNamesThePeer) {
  preface = ClientGate::Preface::proxy_header;
  connect_and_send("PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n" + std::string(kRequest));
  ASSERT_TRUE(until_requests(1));
  EXPECT_EQ(gate().peer().to_string(), "192.0.2.1:4711");
  EXPECT_EQ(gate().stream().client_text(), "192.0.2.1:4711");
  EXPECT_EQ(named, 1);
  answer();
}

TEST_F(ClientGateTest, AnIncompleteProxyHeaderIsRead) {
  preface = ClientGate::Preface::proxy_header;
  for (const char byte : std::string_view("PROXY UNKNOWN\r\n")) {
    if (!client) connect();
    client->send({&byte, 1});
    settle();
  }
  EXPECT_EQ(named, 1);
  client->send(kRequest);
  ASSERT_TRUE(until_requests(1));
  EXPECT_TRUE(gate().peer().to_string().starts_with("127.0.0.1:"));
  answer();
}

TEST_F(ClientGateTest, AConnectionWithoutAProxyHeaderIsClosed) {
  preface = ClientGate::Preface::proxy_header;
  connect_and_send(kRequest);
  ASSERT_TRUE(until_over());
  EXPECT_EQ(client->received, "");
  EXPECT_EQ(bad_headers, 1);
  EXPECT_TRUE(targets.empty());
}

TEST_F(ClientGateTest, EachRequestNamesItsClient) {
  connect_and_send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
  ASSERT_TRUE(until_requests(1));
  EXPECT_EQ(gate().stream().client_text(), "192.0.2.7");
  EXPECT_TRUE(gate().peer().to_string().starts_with("127.0.0.1:"));
  answer();
  client->send(kRequest);
  ASSERT_TRUE(until_requests(2));
  EXPECT_TRUE(gate().stream().client_text().starts_with("127.0.0.1:"));
}

TEST_F(ClientGateTest, AfterDrainTheAnswerClosesTheConnection) {
  connect_and_send(kRequest);
  ASSERT_TRUE(until_requests(1));
  gate().drain(milliseconds{5'000});
  EXPECT_FALSE(gate().may_keep_alive());
  answer();
  ASSERT_TRUE(until_over());
  EXPECT_TRUE(client->ended);
  EXPECT_EQ(received(), kAnswer);
}

TEST_F(ClientGateTest, ADrainingIdleConnectionIsClosedAfterTheIdleTime) {
  connect();
  gate().drain(milliseconds{200});
  ASSERT_TRUE(until_over());
  EXPECT_TRUE(client->ended);
}

TEST_F(ClientGateTest, ClosingDuringARequestReportsStoppingAndResets) {
  connect_and_send(kRequest);
  ASSERT_TRUE(until_requests(1));
  gate().close();
  EXPECT_EQ(gone, std::vector{Reason::stopping});
  ASSERT_TRUE(until_over());
  EXPECT_TRUE(client->reset);
}

}  // namespace
}  // namespace streamgate
