#include "worker/upstream/dns_channel.h"

#include <arpa/nameser.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

// DNS flag day 2020: fits into one packet on nearly every path.
constexpr int kEdnsBytes = 1232;
// The shortest time between two calls of ares_timeout(), which scans all open queries. With 6,000
// queries to silent servers and a call for each timeout, it took a fifth of the worker's time
// (measured).
constexpr suseconds_t kMinWaitUs = 20'000;

DnsAnswer::Kind kind_of(int status) {
  switch (status) {
    case ARES_ENODATA:
      return DnsAnswer::Kind::no_address;
    case ARES_ENOTFOUND:
      return DnsAnswer::Kind::no_such_name;
    case ARES_EBADNAME:
    case ARES_EBADQUERY:
      return DnsAnswer::Kind::bad_name;
    case ARES_ECONNREFUSED:
    case ARES_ENOMEM:
      return DnsAnswer::Kind::unreachable;
    case ARES_ETIMEOUT:
      return DnsAnswer::Kind::silent;
    case ARES_EDESTRUCTION:
    case ARES_ECANCELLED:
      return DnsAnswer::Kind::abandoned;
    default:
      return DnsAnswer::Kind::failed;
  }
}

template <class Record, class Parse>
DnsAnswer parse(Parse parse_reply, const unsigned char* bytes, int length) {
  std::array<Record, DnsAnswer::kMaxAddresses> records{};
  int count = static_cast<int>(records.size());
  const int status = parse_reply(bytes, length, nullptr, records.data(), &count);
  if (status != ARES_SUCCESS) return {kind_of(status), ares_strerror(status), {}};
  if (count <= 0) return {DnsAnswer::Kind::no_address, ares_strerror(ARES_ENODATA), {}};
  DnsAnswer answer{DnsAnswer::Kind::addresses, "", {}};
  int ttl = records[0].ttl;
  for (int i = 0; i < count; ++i) {
    const Record& record = records[static_cast<size_t>(i)];
    ttl = std::min(ttl, record.ttl);
    IpAddress address;
    address.is_v4 = sizeof record == sizeof(ares_addrttl);
    std::memcpy(address.bytes.data(), &record, address.is_v4 ? 4 : 16);  // the first member
    answer.addresses.push_back(address);
  }
  answer.ttl_ms = int64_t{ttl} * 1000;
  return answer;
}
static_assert(sizeof(ares_addrttl) != sizeof(ares_addr6ttl));
static_assert(offsetof(ares_addrttl, ipaddr) == 0 && offsetof(ares_addr6ttl, ip6addr) == 0);

DnsAnswer answer_of(IpFamily family, int status, const unsigned char* bytes, int length) {
  if (status != ARES_SUCCESS) return {kind_of(status), ares_strerror(status), {}};
  return family == IpFamily::v4 ? parse<ares_addrttl>(ares_parse_a_reply, bytes, length)
                                : parse<ares_addr6ttl>(ares_parse_aaaa_reply, bytes, length);
}

ares_addr_port_node node_of(const SocketAddress& server) {
  ares_addr_port_node node{};
  node.family = server.family();
  const IpAddress ip = server.ip();
  std::memcpy(&node.addr, ip.bytes.data(), ip.is_v4 ? 4 : 16);
  node.udp_port = node.tcp_port = server.port();
  return node;
}

}  // namespace

DnsChannel::DnsChannel(event_base* base, const Settings& settings, Observer& observer)
    : base_(base),
      observer_(observer),
      uses_edns_(settings.uses_edns),
      timer_(evtimer_new(base, callback<&DnsChannel::on_timer>, this)),
      channel_(make(settings, *this)) {
  CHECK(timer_);
}

DnsChannel::~DnsChannel() = default;

// With all of these options c-ares reads no file and no environment variable. DnsQuestion asks the
// next server, so c-ares must not retry: each answer is final here.
DnsChannel::Channel DnsChannel::make(const Settings& settings, DnsChannel& self) {
  CHECK(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
  ares_options options{};
  in_addr placeholder{};
  std::string dns_only = "b";
  options.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH;
  if (settings.uses_edns) options.flags |= ARES_FLAG_EDNS;
  options.timeout = static_cast<int>(settings.timeout.count());
  options.tries = 1;
  options.ndots = 1;
  options.ednspsz = kEdnsBytes;
  options.lookups = dns_only.data();
  options.servers = &placeholder;
  options.nservers = 1;
  options.sock_state_cb = &DnsChannel::on_socket_state;
  options.sock_state_cb_data = &self;
  ares_channel made = nullptr;
  const int status =
      ares_init_options(&made, &options,
                        ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
                            ARES_OPT_EDNSPSZ | ARES_OPT_LOOKUPS | ARES_OPT_SERVERS |
                            ARES_OPT_DOMAINS | ARES_OPT_NOROTATE | ARES_OPT_SOCK_STATE_CB);
  CHECK(status == ARES_SUCCESS);
  Channel channel(made);
  ares_addr_port_node node = node_of(settings.server);
  CHECK(ares_set_servers_ports(made, &node) == ARES_SUCCESS);
  return channel;
}

void DnsChannel::ask(const std::string& name, const std::shared_ptr<DnsQuery>& query) {
  ++asked_;
  ++open_;
  const int type = query->family == IpFamily::v4 ? ns_t_a : ns_t_aaaa;
  // on_answer() frees it. ares_query() may call on_answer() before it returns.
  ares_query(channel_.get(), name.c_str(), ns_c_in, type, &DnsChannel::on_answer,
             new Pending{*this, query});
  arm_timer();
}

void DnsChannel::on_answer(void* arg, int status, int /*timeouts*/, unsigned char* bytes,
                           int length) {
  const std::unique_ptr<Pending> pending(static_cast<Pending*>(arg));
  DnsQuery& query = *pending->query;
  --pending->channel.open_;
  query.is_open = false;
  DnsAnswer answer = answer_of(query.family, status, bytes, length);
  // c-ares repeats only one of several such queries without EDNS.
  if (status == ARES_EFORMERR && pending->channel.uses_edns_) {
    answer.kind = DnsAnswer::Kind::no_edns;
  }
  pending->channel.observer_.on_server_answer(answer);
  if (query.observer != nullptr) query.observer->on_answer(query, std::move(answer));
}

void DnsChannel::on_socket_state(void* self, ares_socket_t fd, int readable, int writable) {
  auto& channel = *static_cast<DnsChannel*>(self);
  const int what = (readable != 0 ? EV_READ : 0) | (writable != 0 ? EV_WRITE : 0);
  if (what == 0) {
    channel.sockets_.erase(fd);  // c-ares closes it next
  } else {
    channel.watch(fd, static_cast<short>(what));
  }
}

void DnsChannel::watch(ares_socket_t fd, short what) {
  Event& event = sockets_[fd];
  event.reset();  // before the new one is added: two events of a descriptor would both report
  event.reset(
      event_new(base_, fd, static_cast<short>(what | EV_PERSIST), &DnsChannel::on_socket, this));
  CHECK(event && event_add(event.get(), nullptr) == 0);
}

void DnsChannel::on_socket(evutil_socket_t fd, short what, void* self) {
  static_cast<DnsChannel*>(self)->process((what & EV_READ) != 0 ? fd : ARES_SOCKET_BAD,
                                          (what & EV_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
}

void DnsChannel::process(ares_socket_t readable, ares_socket_t writable) {
  ares_process_fd(channel_.get(), readable, writable);
  arm_timer();
}

void DnsChannel::on_timer() { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }

// All queries have the same timeout, so an armed timer already has the earliest end. If that
// query has been answered, the timer fires without effect.
void DnsChannel::arm_timer() {
  if (open_ == 0 || event_pending(timer_.get(), EV_TIMEOUT, nullptr) != 0) return;
  timeval wait{};
  if (ares_timeout(channel_.get(), nullptr, &wait) == nullptr) return;
  if (wait.tv_sec == 0) wait.tv_usec = std::max(wait.tv_usec, kMinWaitUs);
  CHECK(event_add(timer_.get(), &wait) == 0);
}

}  // namespace streamgate
