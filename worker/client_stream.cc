#include "worker/client_stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

constexpr size_t kMostExtents = 64;  // of one sendmsg
constexpr std::string_view kLastChunk = "0\r\n\r\n";
constexpr std::string_view kCrlf = "\r\n";

iovec part(std::string_view bytes) {
  return {const_cast<char*>(bytes.data()), bytes.size()};  // sendmsg does not write to it
}

}  // namespace

ClientStream::ClientStream(ResponseOwner& owner, TimerWheel& wheel,
                           std::chrono::milliseconds stall_timeout)
    : owner_(owner), stall_timeout_(stall_timeout), stall_deadline_(wheel, this, [](void* self) {
        static_cast<ClientStream*>(self)->on_stalled();
      }) {}

void ClientStream::attach(int fd, bufferevent* output, const SocketAddress& peer) {
  fd_ = fd;
  bev_ = output;
  peer_ = peer;
}

void ClientStream::begin(const RequestHead& head, ClientObserver* observer) {
  head_ = &head;
  observer_ = observer;
  held_head_.clear();
  framing_ = {};
  body_bytes_ = 0;
  head_sent_ = keep_alive_ = full_ = finishing_ = false;
}

void ClientStream::lose(Reason reason) {
  stall_deadline_.cancel();
  bev_ = nullptr;
  if (ClientObserver* observer = std::exchange(observer_, nullptr)) {
    observer->on_client_gone(reason);
  }
}

void ClientStream::send_head(std::string head, const ClientFraming& framing, bool keep_alive) {
  CHECK(!head_sent_ && held_head_.empty());
  keep_alive_ = keep_alive;
  held_head_ = std::move(head);
  framing_ = framing;
}

ClientStream::Flow ClientStream::write(std::string_view body) {
  if (body.empty()) return flush();
  const iovec extent = part(body);
  return write_extents({&extent, 1});
}

ClientStream::Flow ClientStream::write_extents(std::span<const iovec> extents) {
  if (framing_.kind == ClientFraming::Kind::none) return flush();
  size_t length = 0;
  for (const iovec& extent : extents) length += extent.iov_len;
  body_bytes_ += length;
  std::array<iovec, kMostExtents + 3> parts;
  size_t count = 0;
  char chunk_head[20];
  if (!head_sent_) parts[count++] = part(held_head_);
  if (framing_.kind == ClientFraming::Kind::chunked) {
    const int size = std::snprintf(chunk_head, sizeof chunk_head, "%zx\r\n", length);
    parts[count++] = part({chunk_head, static_cast<size_t>(size)});
  }
  for (const iovec& extent : extents) parts[count++] = extent;
  if (framing_.kind == ClientFraming::Kind::chunked) parts[count++] = part(kCrlf);
  return send_parts({parts.data(), count});
}

ClientStream::Flow ClientStream::write(evbuffer* body) {
  Flow flow = full_ ? Flow::full : Flow::open;
  while (evbuffer_get_length(body) > 0) {
    std::array<evbuffer_iovec, kMostExtents> extents;
    const int found = evbuffer_peek(body, -1, nullptr, extents.data(), kMostExtents);
    const size_t usable = std::min<size_t>(static_cast<size_t>(found), kMostExtents);
    flow = write_extents({extents.data(), usable});
    if (flow == Flow::gone) return flow;
    size_t length = 0;
    for (size_t i = 0; i < usable; ++i) length += extents[i].iov_len;
    evbuffer_drain(body, length);
  }
  return flow;
}

ClientStream::Flow ClientStream::flush() {
  if (head_sent_ || held_head_.empty()) return full_ ? Flow::full : Flow::open;
  std::array<iovec, 1> parts{part(held_head_)};
  return send_parts(parts);
}

ClientStream::Flow ClientStream::send_parts(std::span<iovec> parts) {
  if (bev_ == nullptr) return Flow::gone;
  size_t sent = 0;
  // What is queued goes first: a direct send would overtake it.
  if (evbuffer_get_length(bufferevent_get_output(bev_)) == 0) {
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t result = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (result < 0 && errno != EAGAIN && errno != EINTR) return Flow::gone;
    sent = result > 0 ? static_cast<size_t>(result) : 0;
  }
  const size_t queued = queue_rest(parts, sent);
  head_sent_ = true;
  if (queued == 0) return Flow::open;
  if (!stall_deadline_.armed()) {
    queued_at_check_ = 0;
    stall_deadline_.arm(stall_timeout_);
  }
  queued_at_check_ += queued;
  full_ = true;
  return Flow::full;
}

// Queues what a send left over; returns how many bytes that is.
size_t ClientStream::queue_rest(std::span<const iovec> parts, size_t sent) {
  evbuffer* output = bufferevent_get_output(bev_);
  size_t queued = 0;
  for (const iovec& piece : parts) {
    const size_t skip = std::min(sent, piece.iov_len);
    sent -= skip;
    if (skip == piece.iov_len) continue;
    queued += piece.iov_len - skip;
    CHECK(evbuffer_add(output, static_cast<const char*>(piece.iov_base) + skip,
                       piece.iov_len - skip) == 0);
  }
  return queued;
}

ClientStream::Flow ClientStream::send_end() {
  if (framing_.kind != ClientFraming::Kind::chunked) return flush();
  std::array<iovec, 2> parts{part(head_sent_ ? std::string_view{} : held_head_), part(kLastChunk)};
  return send_parts(parts);
}

void ClientStream::finish() {
  CHECK(!finishing_);
  finishing_ = true;
  observer_ = nullptr;
  const Flow flow = send_end();
  if (flow == Flow::gone) return owner_.on_response_broken();
  if (flow == Flow::open) owner_.on_response_sent();
}

void ClientStream::abort() {
  observer_ = nullptr;
  stall_deadline_.cancel();
  owner_.on_response_broken();
}

void ClientStream::on_output_drained() {
  stall_deadline_.cancel();
  full_ = false;
  if (finishing_) return owner_.on_response_sent();
  if (observer_ != nullptr) observer_->on_client_drained();
}

void ClientStream::on_stalled() {
  if (bev_ == nullptr) return;
  const size_t queued = evbuffer_get_length(bufferevent_get_output(bev_));
  if (queued == 0) return;
  if (queued < queued_at_check_) {  // slow, but reading
    queued_at_check_ = queued;
    return stall_deadline_.arm(stall_timeout_);
  }
  ClientObserver* observer = std::exchange(observer_, nullptr);
  if (observer != nullptr) observer->on_client_gone(Reason::client_stalled);
  owner_.on_response_broken();
}

}  // namespace streamgate
