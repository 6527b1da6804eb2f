#include "worker/client/stream.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "common/check.h"
#include "worker/client/client_address.h"

namespace streamgate {
namespace {

constexpr size_t kMaxExtents = 64;  // for one sendmsg
// No event reports an acknowledgement, so the socket is asked.
constexpr std::chrono::milliseconds kDeliveryCheckInterval{100};
constexpr std::string_view kLastChunk = "0\r\n\r\n";
constexpr std::string_view kCrlf = "\r\n";

iovec part(std::string_view bytes) {
  return {const_cast<char*>(bytes.data()), bytes.size()};  // sendmsg does not write to it
}

size_t length_of(std::span<const iovec> parts) {
  size_t length = 0;
  for (const iovec& piece : parts) length += piece.iov_len;
  return length;
}

using Extents = std::array<evbuffer_iovec, kMaxExtents>;

// The memory of the first bytes of `buffer`. The result points into `place`.
std::span<const iovec> first_extents(evbuffer* buffer, Extents& place) {
  const int found = evbuffer_peek(buffer, -1, nullptr, place.data(), kMaxExtents);
  return {place.data(), std::min(static_cast<size_t>(found), kMaxExtents)};
}

}  // namespace

ClientStream::ClientStream(Owner& owner, TimerWheel& wheel, const ClientConfig& config)
    : owner_(owner),
      wheel_(wheel),
      config_(config),
      stall_deadline_(wheel, this, call<&ClientStream::on_stalled>),
      rate_(wheel, this, call<&ClientStream::on_rate_window_end>, config.min_rate,
            config.min_rate_window) {}

void ClientStream::attach(event_base* base, ClientSocket& socket, const SocketAddress& peer) {
  base_ = base;
  socket_ = &socket;
  peer_ = peer;
}

void ClientStream::set_peer(const SocketAddress& peer) {
  peer_ = peer;
  client_text_.clear();
}

void ClientStream::set_client(const SocketAddress& client) {
  client_ = client;
  client_text_ = text_of_client(client);
}

void ClientStream::begin(const RequestHead& head, const ExchangeId& id, Observer* observer) {
  if (client_text_.empty() || client_ != peer_) set_client(peer_);
  head_ = &head;
  id_ = &id;
  observer_ = observer;
  held_head_.clear();
  framing_ = {};
  body_bytes_ = 0;
  head_sent_ = keep_alive_ = false;
  end_ = End::under_way;
}

void ClientStream::name_client() {
  if (client_text_.empty()) set_client(peer_);
}

void ClientStream::lose(Reason reason) {
  if (observer_ != nullptr) count_undelivered();
  stall_deadline_.cancel();
  rate_.reset();
  if (writable_) writable_->remove();
  if (delivery_check_) delivery_check_->cancel();
  queue_.reset();
  socket_ = nullptr;
  if (Observer* observer = std::exchange(observer_, nullptr)) {
    observer->on_client_gone(reason);
  }
}

void ClientStream::send_head(std::string head, const ClientFraming& framing, bool keep_alive) {
  CHECK(!head_sent_ && held_head_.empty());
  keep_alive_ = keep_alive;
  held_head_ = std::move(head);
  held_head_.insert(held_head_.find('\n') + 1, id_->field());  // after the status line
  framing_ = framing;
}

ClientStream::Flow ClientStream::write(std::string_view body) {
  if (body.empty()) return flush();
  const iovec extent = part(body);
  return write_extents({&extent, 1});
}

ClientStream::Flow ClientStream::write_extents(std::span<const iovec> extents) {
  if (framing_.kind == ClientFraming::Kind::none) return flush();
  const size_t length = length_of(extents);
  body_bytes_ += length;
  std::array<iovec, kMaxExtents + 3> parts;
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
    Extents place;
    const std::span<const iovec> extents = first_extents(body, place);
    flow = write_extents(extents);
    if (flow == Flow::gone) return flow;
    evbuffer_drain(body, length_of(extents));
  }
  return flow;
}

ClientStream::Flow ClientStream::flush() {
  if (head_sent_ || held_head_.empty()) return full_ ? Flow::full : Flow::open;
  std::array<iovec, 1> parts{part(held_head_)};
  return send_parts(parts);
}

ClientStream::Flow ClientStream::send_parts(std::span<const iovec> parts, ClientSocket::More more) {
  if (socket_ == nullptr) return Flow::gone;
  const size_t length = length_of(parts);
  ClientSocket::Moved moved;
  // While bytes are queued, new ones are queued after them.
  if (!full_) moved = socket_->write(parts, more);
  if (moved.gone) return Flow::gone;
  taken_ += moved.bytes;
  if (moved.bytes < length) queue_unsent(parts, moved.bytes);
  if (!head_sent_) {
    head_sent_ = true;
    held_head_ = std::string();
  }
  if (moved.bytes < length) return wait();
  return full_ ? Flow::full : Flow::open;
}

void ClientStream::queue_unsent(std::span<const iovec> parts, size_t sent) {
  if (!queue_) queue_.reset(evbuffer_new());
  CHECK(queue_);
  for (const iovec& piece : parts) {
    const size_t skip = std::min(sent, piece.iov_len);
    sent -= skip;
    if (skip == piece.iov_len) continue;
    CHECK(evbuffer_add(queue_.get(), static_cast<const char*>(piece.iov_base) + skip,
                       piece.iov_len - skip) == 0);
  }
}

size_t ClientStream::room() {
  if (full_ || socket_ == nullptr) return 0;
  const size_t room = socket_->room();
  if (room == 0) wait();
  return room;
}

// Sends the head before bytes that the kernel moves by itself.
ClientStream::Flow ClientStream::begin_unchanged() {
  if (!head_sent_) {
    const std::array<iovec, 1> parts{part(held_head_)};
    if (const Flow flow = send_parts(parts, ClientSocket::More::follows); flow != Flow::open) {
      return flow;
    }
  }
  if (full_) return Flow::full;
  return socket_ == nullptr ? Flow::gone : Flow::open;
}

ClientStream::Taken ClientStream::note_taken(const ClientSocket::Moved& moved, size_t most) {
  if (moved.gone) return {Flow::gone, 0};
  taken_ += moved.bytes;
  body_bytes_ += moved.bytes;
  return {moved.bytes < most ? wait() : Flow::open, moved.bytes};
}

ClientStream::Taken ClientStream::splice_from(int pipe_read_fd, size_t most) {
  if (const Flow flow = begin_unchanged(); flow != Flow::open) return {flow, 0};
  return note_taken(socket_->splice_from(pipe_read_fd, most), most);
}

ClientStream::Taken ClientStream::send_file(int fd, uint64_t offset, size_t most) {
  if (const Flow flow = begin_unchanged(); flow != Flow::open) return {flow, 0};
  return note_taken(socket_->send_file(fd, offset, most), most);
}

bool ClientStream::can_splice() const {
  return !full_ && socket_ != nullptr && !socket_->is_tls() &&
         (framing_.kind == ClientFraming::Kind::length ||
          framing_.kind == ClientFraming::Kind::until_close);
}

ClientStream::Flow ClientStream::wait() {
  if (full_) return Flow::full;
  full_ = true;
  if (!writable_) {
    writable_ = std::make_unique<MemberEvent>(base_, socket_->fd(), EV_WRITE | EV_PERSIST,
                                              callback<&ClientStream::on_writable>, this);
  }
  writable_->add();
  run_limits();
  return Flow::full;
}

void ClientStream::run_limits() {
  // The deadline stays armed from one wait to the next: only a time without progress counts.
  if (!stall_deadline_.armed()) {
    delivered_at_check_ = delivered();
    stall_deadline_.arm(config_.write_stall_timeout);
  }
  if (config_.min_rate > 0) {
    delivered_counted_ = delivered();
    rate_.run();
  }
}

// False: the client is gone.
bool ClientStream::send_queue() {
  while (evbuffer_get_length(queue_.get()) > 0) {
    Extents place;
    const std::span<const iovec> extents = first_extents(queue_.get(), place);
    const ClientSocket::Moved moved = socket_->write(extents);
    if (moved.gone) return false;
    taken_ += moved.bytes;
    const bool took_all = moved.bytes == length_of(extents);
    evbuffer_drain(queue_.get(), moved.bytes);
    if (!took_all) return true;
  }
  queue_.reset();
  return true;
}

void ClientStream::on_writable() {
  if (queue_) {
    if (!send_queue()) return give_up(Reason::client_gone);
    if (queue_) return;
  }
  writable_->remove();
  full_ = false;
  count_delivered();
  rate_.stop();
  if (end_ != End::under_way) return end();
  if (observer_ != nullptr) observer_->on_client_drained();
}

ClientStream::Flow ClientStream::send_end() {
  if (framing_.kind != ClientFraming::Kind::chunked) return flush();
  std::array<iovec, 2> parts{part(head_sent_ ? std::string_view{} : held_head_), part(kLastChunk)};
  return send_parts(parts);
}

void ClientStream::finish() {
  CHECK(end_ == End::under_way);
  end_ = End::complete;
  observer_ = nullptr;
  const Flow flow = send_end();
  if (flow == Flow::gone) return owner_.on_response_broken();
  if (flow == Flow::open) owner_.on_response_sent();
}

void ClientStream::cut() {
  CHECK(end_ == End::under_way);
  end_ = End::cut;
  keep_alive_ = false;
  observer_ = nullptr;
  const Flow flow = flush();
  if (flow == Flow::gone) return owner_.on_response_broken();
  if (flow == Flow::open) end();
}

// All bytes have been written to the socket.
void ClientStream::end() {
  const bool is_cut = end_ == End::cut;
  if (is_cut && framing_.kind == ClientFraming::Kind::until_close) return await_delivery();
  owner_.on_response_sent();
}

// A reset discards bytes that the client has not acknowledged.
void ClientStream::await_delivery() {
  if (socket_->unacknowledged() == 0) return owner_.on_response_broken();
  if (!delivery_check_) {
    delivery_check_ = std::make_unique<Deadline>(wheel_, this, call<&ClientStream::await_delivery>);
  }
  delivery_check_->arm(kDeliveryCheckInterval);
  if (full_) return;
  full_ = true;
  run_limits();
}

void ClientStream::abort() {
  observer_ = nullptr;
  if (delivery_check_) delivery_check_->cancel();
  stall_deadline_.cancel();
  rate_.reset();
  owner_.on_response_broken();
}

// Framing and TLS records make the undelivered body slightly larger than it is.
size_t ClientStream::unacknowledged() {
  if (socket_ == nullptr || taken_ == all_acknowledged_) return 0;
  const size_t bytes = socket_->unacknowledged();
  if (bytes == 0) all_acknowledged_ = taken_;
  return bytes;
}

void ClientStream::count_undelivered() {
  if (socket_ == nullptr) return;
  const size_t queued = queue_ ? evbuffer_get_length(queue_.get()) : 0;
  body_bytes_ -= std::min<uint64_t>(body_bytes_, queued + socket_->unacknowledged());
}

// A stall is a time without acknowledged bytes. Bytes that the socket takes are not counted: while
// a slow client empties a large socket buffer, the socket takes none for a long time.
void ClientStream::on_stalled() {
  if (!full_) return;
  const int64_t delivered_now = delivered();
  if (delivered_now == delivered_at_check_) return give_up(Reason::client_stalled);
  delivered_at_check_ = delivered_now;
  stall_deadline_.arm(config_.write_stall_timeout);
}

void ClientStream::count_delivered() {
  if (config_.min_rate == 0) return;
  const int64_t now = delivered();
  // A Unix socket includes its overhead, so the count may go down.
  rate_.add(static_cast<uint64_t>(std::max<int64_t>(now - delivered_counted_, 0)));
  delivered_counted_ = now;
}

void ClientStream::on_rate_window_end() {
  count_delivered();
  if (rate_.is_too_slow()) return give_up(Reason::client_too_slow);
  rate_.run();
}

void ClientStream::give_up(Reason reason) {
  if (observer_ != nullptr) {
    count_undelivered();
    std::exchange(observer_, nullptr)->on_client_gone(reason);
  }
  owner_.on_response_broken();
}

}  // namespace streamgate
