// The benchmark's load generator: downloads in bulk, sends requests at a fixed rate, or holds
// connections whose client has stopped reading or sending. Always over loopback. Prints one line of
// JSON with the result.
//
//   load bulk PORT TARGET CONNECTIONS REQUESTS
//     each connection downloads TARGET REQUESTS times; @ in TARGET is another number for each
//   load viewers PORT TARGET CONNECTIONS SECONDS
//     each connection is a viewer of a live stream: every two seconds it asks for live.m3u8 and
//     then for the next segment (@ in TARGET is the name of the file)
//   load wake PORT TARGET CONNECTIONS
//     all connections send their request and print a line; the second line has the moments of the
//     monotonic clock at which the first and the last of them had their whole answer
//   load follow PORT TARGET CONNECTIONS
//     the body is pieces of 16 KiB that begin with the moment at which they were sent (8 bytes, in
//     nanoseconds); the delay of each is taken on each connection
//   load rate PORT TARGET PER_SECOND SECONDS
//     an open loop: latency counts from the planned moment
//   load stall PORT TARGET CONNECTIONS
//     reads each response's head, then nothing until EOF on its standard input
//   load idle PORT TARGET CONNECTIONS
//     reads each response, then keeps its connection open until EOF on its standard input
//
// An answer that is not a complete 200 ends the program with a message and status 1, because failed
// requests must not count in the result.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kScratchBytes = size_t{1024} * 1024;
constexpr size_t kMaxHeadBytes = size_t{32} * 1024;
constexpr size_t kMaxConnections = 4'000;  // an error beyond it: the server cannot hold the rate

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "load: %s (%s)\n", what, std::strerror(errno));
  std::exit(1);
}

struct Job {
  uint16_t port;
  std::string request;

  // The request with `text` in the place of its mark.
  std::string with(std::string_view text) const {
    std::string whole = request;
    if (const size_t at = whole.find('@'); at != std::string::npos) whole.replace(at, 1, text);
    return whole;
  }
};

int connect_to(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("connect");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

void send_all(int fd, std::string_view bytes) {
  if (send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()))
    die("send");
}

// Parses one response: the end of its head, the framing of its body, and its end. In a chunked body
// it only searches for the last chunk, which is enough for well-formed answers.
class Response {
 public:
  // Takes the next bytes; true when the response is complete with them.
  bool feed(std::string_view bytes) {
    if (!head_done_) {
      head_.append(bytes);
      const size_t end = head_.find("\r\n\r\n");
      if (end == std::string::npos) {
        if (head_.size() > kMaxHeadBytes) die("response head too long");
        return false;
      }
      const std::string body = head_.substr(end + 4);
      head_.resize(end + 2);
      read_head();
      return feed_body(body);
    }
    return feed_body(bytes);
  }

  bool head_done() const { return head_done_; }
  uint64_t remaining() const { return remaining_; }  // of a body of known length
  bool known_length() const { return !chunked_; }

  // Bytes that were discarded unseen, of a body of known length; true when it is complete.
  bool skip(uint64_t bytes) {
    if (bytes > remaining_) die("more body than its length says");
    remaining_ -= bytes;
    return remaining_ == 0;
  }

 private:
  void read_head() {
    head_done_ = true;
    if (!head_.starts_with("HTTP/1.1 200")) {
      std::fprintf(stderr, "%s\n", head_.c_str());
      die("not a 200");
    }
    for (char& c : head_) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    if (head_.find("\r\ntransfer-encoding: chunked") != std::string::npos) {
      chunked_ = true;
      return;
    }
    constexpr std::string_view kName = "\r\ncontent-length: ";
    const size_t at = head_.find(kName);
    if (at == std::string::npos) die("an answer of unknown length");
    const char* first = head_.data() + at + kName.size();
    std::from_chars(first, head_.data() + head_.size(), remaining_);
  }

  bool feed_body(std::string_view bytes) {
    if (!chunked_) return skip(bytes.size());
    constexpr std::string_view kLast = "0\r\n\r\n";
    tail_.append(bytes.substr(bytes.size() - std::min(bytes.size(), kLast.size())));
    if (tail_.size() > kLast.size()) tail_.erase(0, tail_.size() - kLast.size());
    return tail_ == kLast;
  }

  std::string head_;
  std::string tail_;  // the last bytes of a chunked body
  uint64_t remaining_ = 0;
  bool head_done_ = false;
  bool chunked_ = false;
};

// --- bulk ---

// Downloads once. The kernel discards the body (MSG_TRUNC), so the reader uses little CPU time.
uint64_t download(int fd, std::string_view request, std::vector<char>& scratch) {
  send_all(fd, request);
  Response response;
  uint64_t total = 0;
  for (bool done = false; !done;) {
    const bool discard = response.head_done() && response.known_length();
    const size_t want = response.head_done() ? scratch.size() : 4096;
    const ssize_t n = recv(fd, scratch.data(), want, discard ? MSG_TRUNC : 0);
    if (n <= 0) die("recv");
    total += static_cast<uint64_t>(n);
    const auto count = static_cast<size_t>(n);
    done = discard ? response.skip(count) : response.feed({scratch.data(), count});
  }
  return total;
}

int run_bulk(const Job& job, unsigned connections, unsigned requests) {
  std::vector<uint64_t> bytes(connections, 0);
  std::vector<std::thread> readers;
  const auto start = Clock::now();
  for (unsigned i = 0; i < connections; ++i)
    readers.emplace_back([&job, &total = bytes[i], requests, i] {
      std::vector<char> scratch(kScratchBytes);
      const int fd = connect_to(job.port);
      for (unsigned n = 0; n < requests; ++n)
        total += download(fd, job.with(std::to_string(uint64_t{i} * requests + n)), scratch);
      close(fd);
    });
  for (std::thread& reader : readers) reader.join();
  const std::chrono::duration<double> elapsed = Clock::now() - start;
  uint64_t sum = 0;
  for (const uint64_t n : bytes) sum += n;
  std::printf("{\"bytes\": %llu, \"seconds\": %.4f}\n", static_cast<unsigned long long>(sum),
              elapsed.count());
  return 0;
}

// --- viewers ---

constexpr std::chrono::seconds kSegmentTime{2};

// One viewer after another begins within the time of one segment, so that their requests are spread
// as those of real viewers are.
uint64_t watch(const Job& job, Clock::time_point start, Clock::duration offset, unsigned segments) {
  std::vector<char> scratch(size_t{64} * 1024);  // discarded in the kernel; there are 1,000 of them
  const int fd = connect_to(job.port);
  uint64_t total = 0;
  for (unsigned n = 0; n < segments; ++n) {
    std::this_thread::sleep_until(start + offset + n * kSegmentTime);
    const auto latest = (Clock::now() - start) / kSegmentTime;
    total += download(fd, job.with("live.m3u8"), scratch);
    total += download(fd, job.with("segment_" + std::to_string(latest) + ".ts"), scratch);
  }
  close(fd);
  return total;
}

int run_viewers(const Job& job, unsigned connections, unsigned seconds) {
  std::atomic<uint64_t> bytes = 0;
  std::vector<std::thread> viewers;
  const auto start = Clock::now();
  const auto segments = static_cast<unsigned>(std::chrono::seconds(seconds) / kSegmentTime);
  for (unsigned i = 0; i < connections; ++i)
    viewers.emplace_back([&, offset = Clock::duration(kSegmentTime) * i / connections] {
      bytes += watch(job, start, offset, segments);
    });
  for (std::thread& viewer : viewers) viewer.join();
  const std::chrono::duration<double> elapsed = Clock::now() - start;
  std::printf("{\"bytes\": %llu, \"requests\": %llu, \"seconds\": %.4f}\n",
              static_cast<unsigned long long>(bytes.load()), 2ULL * segments * connections,
              elapsed.count());
  return 0;
}

// --- wake, follow ---

// Reads from all connections at once and calls `taker(index, bytes)`, until that returned true for
// each.
template <class Taker>
void read_all(const std::vector<int>& fds, Taker&& taker) {
  std::vector<char> scratch(kScratchBytes);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (size_t i = 0; i < fds.size(); ++i) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) != 0) die("epoll_ctl");
  }
  for (size_t left = fds.size(); left > 0;) {
    std::array<epoll_event, 256> events{};
    const int ready = epoll_wait(epoll, events.data(), events.size(), 60'000);
    if (ready <= 0) die("no answer in 60 seconds");
    for (int i = 0; i < ready; ++i) {
      const size_t index = events[static_cast<size_t>(i)].data.u64;
      const ssize_t n = recv(fds[index], scratch.data(), scratch.size(), MSG_DONTWAIT);
      if (n <= 0) die("recv");
      if (!taker(index, std::string_view(scratch.data(), static_cast<size_t>(n)))) continue;
      epoll_ctl(epoll, EPOLL_CTL_DEL, fds[index], nullptr);
      --left;
    }
  }
  close(epoll);
}

std::vector<int> open_all(const Job& job, unsigned connections) {
  std::vector<int> fds;
  for (unsigned i = 0; i < connections; ++i) {
    fds.push_back(connect_to(job.port));
    send_all(fds.back(), job.request);
  }
  std::puts("sent");
  std::fflush(stdout);
  return fds;
}

int64_t now_ns() { return Clock::now().time_since_epoch().count(); }

int run_wake(const Job& job, unsigned connections) {
  const std::vector<int> fds = open_all(job, connections);
  std::vector<Response> responses(connections);
  int64_t first = 0;
  read_all(fds, [&](size_t index, std::string_view bytes) {
    const bool done = responses[index].feed(bytes);
    if (done && first == 0) first = now_ns();
    return done;
  });
  std::printf("{\"first_ns\": %lld, \"last_ns\": %lld}\n", static_cast<long long>(first),
              static_cast<long long>(now_ns()));
  return 0;
}

// The delays of the pieces of one body.
class Pieces {
 public:
  // The bytes follow those of the call before.
  void feed(std::string_view bytes, std::vector<double>& delays) {
    const int64_t now = now_ns();
    for (const char byte : bytes) {
      const size_t at = position_++ % kPieceBytes;
      if (at < sizeof stamp_) stamp_[at] = byte;
      if (at + 1 != sizeof stamp_) continue;
      int64_t sent = 0;
      std::memcpy(&sent, stamp_.data(), sizeof sent);
      delays.push_back(static_cast<double>(now - sent) / 1e3);
    }
  }

 private:
  static constexpr size_t kPieceBytes = size_t{16} * 1024;

  std::array<char, 8> stamp_{};
  size_t position_ = 0;
};

int run_follow(const Job& job, unsigned connections) {
  const std::vector<int> fds = open_all(job, connections);
  std::vector<Response> responses(connections);
  std::vector<std::string> heads(connections);
  std::vector<Pieces> pieces(connections);
  std::vector<double> delays;
  read_all(fds, [&](size_t index, std::string_view bytes) {
    std::string_view body = bytes;
    if (!responses[index].head_done()) {
      heads[index] += bytes;
      const size_t end = heads[index].find("\r\n\r\n");
      body = end == std::string::npos ? std::string_view()
                                      : std::string_view(heads[index]).substr(end + 4);
    }
    pieces[index].feed(body, delays);
    return responses[index].feed(bytes);
  });
  std::sort(delays.begin(), delays.end());
  const auto at = [&](double share) {
    return delays[static_cast<size_t>(share * static_cast<double>(delays.size() - 1))];
  };
  std::printf("{\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f, \"pieces\": %zu}\n", at(0.5), at(0.99),
              at(1), delays.size());
  return 0;
}

// --- stall, idle ---

enum class StopAt { head, end };

int run_until_eof(const Job& job, unsigned connections, StopAt stop_at) {
  std::vector<char> scratch(kScratchBytes);
  for (unsigned i = 0; i < connections; ++i) {
    const int fd = connect_to(job.port);
    send_all(fd, job.request);
    Response response;
    for (bool done = false; !done;) {
      const size_t want = stop_at == StopAt::head ? 4096 : scratch.size();
      const ssize_t n = recv(fd, scratch.data(), want, 0);
      if (n <= 0) die("recv");
      const bool complete = response.feed({scratch.data(), static_cast<size_t>(n)});
      done = stop_at == StopAt::head ? response.head_done() : complete;
    }
  }  // the descriptors stay open until this process ends
  std::printf("{\"connections\": %u}\n", connections);
  std::fflush(stdout);
  char end = 0;
  while (read(STDIN_FILENO, &end, 1) > 0) {
  }
  return 0;
}

// --- rate ---

struct Connection {
  int fd = -1;
  Clock::time_point planned;
  std::unique_ptr<Response> response;  // null: idle
};

// An open loop: request i is due at start + i/rate, independent of the earlier requests, on an idle
// connection or a new one. The latency of a late request includes its lateness (no coordinated
// omission).
class RateLoad {
 public:
  RateLoad(const Job& job, unsigned per_second, unsigned seconds)
      : job_(job),
        period_(std::chrono::nanoseconds(std::chrono::seconds(1)) / per_second),
        total_(size_t{per_second} * seconds),
        epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) die("epoll_create1");
    micros_.reserve(total_);
  }

  void run() {
    for (unsigned i = 0; i < 32; ++i) idle_.push_back(open());  // so that no handshake is measured
    const auto start = Clock::now();
    const auto limit = start + period_ * static_cast<int64_t>(total_) + std::chrono::seconds(10);
    size_t sent = 0;
    while (micros_.size() < total_) {
      const auto now = Clock::now();
      if (now > limit) die("answers are missing 10 s after the last request");
      auto due = start + period_ * static_cast<int64_t>(sent);
      for (; sent < total_ && due <= now; ++sent, due += period_) ask(due);
      wait(sent < total_ ? due - now : std::chrono::milliseconds(100));
    }
  }

  void print() {
    std::sort(micros_.begin(), micros_.end());
    const auto at = [this](double share) {
      return micros_[static_cast<size_t>(share * static_cast<double>(micros_.size() - 1))];
    };
    std::printf(
        "{\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f, "
        "\"connections\": %zu}\n",
        at(0.5), at(0.9), at(0.99), at(0.999), at(1.0), connections_.size());
  }

 private:
  Connection* open() {
    if (connections_.size() == kMaxConnections) die("the server cannot hold the rate");
    Connection& connection = connections_.emplace_back();
    connection.fd = connect_to(job_.port);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) != 0) die("epoll_ctl");
    return &connection;
  }

  void ask(Clock::time_point planned) {
    Connection* connection = idle_.empty() ? open() : idle_.back();
    if (!idle_.empty()) idle_.pop_back();
    connection->planned = planned;
    connection->response = std::make_unique<Response>();
    send_all(connection->fd, job_.request);
  }

  void wait(std::chrono::nanoseconds timeout) {
    std::array<epoll_event, 64> events{};
    const auto nanos = std::max<int64_t>(timeout.count(), 0);
    const timespec spec{nanos / 1'000'000'000, nanos % 1'000'000'000};
    const int ready = epoll_pwait2(epoll_, events.data(), events.size(), &spec, nullptr);
    if (ready < 0 && errno != EINTR) die("epoll_pwait2");
    for (int i = 0; i < ready; ++i)
      receive(*static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr));
  }

  void receive(Connection& connection) {
    const ssize_t n = recv(connection.fd, scratch_.data(), scratch_.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0 || !connection.response) die("a connection ended or sent bytes without a request");
    if (!connection.response->feed({scratch_.data(), static_cast<size_t>(n)})) return;
    const std::chrono::duration<double, std::micro> took = Clock::now() - connection.planned;
    micros_.push_back(took.count());
    connection.response.reset();
    idle_.push_back(&connection);
  }

  const Job& job_;
  const std::chrono::nanoseconds period_;
  const size_t total_;
  const int epoll_;
  std::deque<Connection> connections_;  // a deque: epoll holds their addresses
  std::vector<Connection*> idle_;
  std::vector<double> micros_;
  std::vector<char> scratch_ = std::vector<char>(kScratchBytes);
};

int run_rate(const Job& job, unsigned per_second, unsigned seconds) {
  prctl(PR_SET_TIMERSLACK, 1);  // otherwise every request is up to 50 us late
  RateLoad load(job, per_second, seconds);
  load.run();
  load.print();
  return 0;
}

unsigned number(const char* text) {
  const unsigned long value = std::strtoul(text, nullptr, 10);
  if (value == 0 || value > 10'000'000) die("a number between 1 and 10,000,000 is needed");
  return static_cast<unsigned>(value);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv, argv + argc);
  if (argc < 5)
    die("usage: load bulk|viewers|rate|wake|follow|stall|idle PORT TARGET NUMBER [NUMBER]");
  Job job{static_cast<uint16_t>(number(argv[2])), "GET "};
  job.request.append(words[3]).append(" HTTP/1.1\r\nHost: 127.0.0.1:").append(words[2]);
  job.request.append("\r\nUser-Agent: load\r\nAccept: */*\r\n\r\n");
  if (words[1] == "bulk" && argc == 6) return run_bulk(job, number(argv[4]), number(argv[5]));
  if (words[1] == "viewers" && argc == 6) return run_viewers(job, number(argv[4]), number(argv[5]));
  if (words[1] == "rate" && argc == 6) return run_rate(job, number(argv[4]), number(argv[5]));
  if (words[1] == "wake" && argc == 5) return run_wake(job, number(argv[4]));
  if (words[1] == "follow" && argc == 5) return run_follow(job, number(argv[4]));
  if (words[1] == "stall" && argc == 5) return run_until_eof(job, number(argv[4]), StopAt::head);
  if (words[1] == "idle" && argc == 5) return run_until_eof(job, number(argv[4]), StopAt::end);
  die("unknown mode or wrong number of arguments");
}
