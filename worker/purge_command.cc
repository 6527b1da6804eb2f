#include "worker/purge_command.h"

#include <sys/socket.h>

#include <string_view>

#include "common/ascii.h"
#include "common/system_error.h"
#include "common/url.h"
#include "worker/own_listener.h"

namespace streamgate {
namespace {

constexpr long kTimeoutSeconds = 10;
// More than an answer has.
constexpr size_t kMaxAnswer = size_t{64} * 1024;

Error failed(std::string why) { return {Reason::internal, std::move(why)}; }

std::string request_for(const Config& config, const PurgeCommand& command) {
  std::string out = "POST /purge?";
  out += command.is_prefix ? "prefix=" : "url=";
  percent_encode(command.url, out);
  out += " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n";
  if (!config.admin.token.empty()) {
    out.append("Authorization: Bearer ").append(config.admin.token.view()).append("\r\n");
  }
  return out + "Connection: close\r\n\r\n";
}

bool send_all(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

std::string read_to_end(int socket) {
  std::string out;
  char piece[4096];
  while (out.size() < kMaxAnswer) {
    const ssize_t got = ::recv(socket, piece, sizeof piece, 0);
    if (got <= 0) break;
    out.append(piece, static_cast<size_t>(got));
  }
  return out;
}

// `{"purged":<number>}`
Result<uint64_t> parse_answer(std::string_view answer) {
  constexpr std::string_view kOk = "HTTP/1.1 200 ";
  constexpr std::string_view kPurged = "{\"purged\":";
  const size_t head_end = answer.find("\r\n\r\n");
  if (head_end == answer.npos) return failed("the admin listener did not answer");
  std::string_view body = answer.substr(head_end + 4);
  body = body.substr(0, body.find('\n'));
  if (answer.starts_with(kOk) && body.starts_with(kPurged) && body.ends_with('}')) {
    body.remove_prefix(kPurged.size());
    body.remove_suffix(1);
    if (const auto number = ascii::parse_uint(body)) return *number;
  }
  return failed("the admin listener answered: " + std::string(body));
}

}  // namespace

Result<uint64_t> purge_service(const Config& config, const PurgeCommand& command) {
  if (config.admin.listen.empty()) {
    return failed("-s purge needs admin.listen, which is not set");
  }
  const SocketAddress address = on_loopback(config.admin.listen.front());
  const auto socket = connect_to_listener(address, kTimeoutSeconds);
  if (!socket) return socket.error();
  if (!send_all(socket->get(), request_for(config, command))) {
    return system_error(address.to_string());
  }
  return parse_answer(read_to_end(socket->get()));
}

}  // namespace streamgate
