// The path of a body that is relayed unchanged: through a pipe if the kernel can move the bytes,
// else through memory. The upstream is read only as far as the client's socket has room, so a
// viewer who stops reading leaves neither a queue nor a pipe here.
//
// The upstream connection asks it before each read (Fetch::relay_into): room() limits the size,
// borrow_pipe() gives the destination. The bytes of a stored body come by send_file(), if the
// kernel can send them from their pages.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "worker/client/stream.h"
#include "worker/exchange/body_path.h"
#include "worker/exchange/packet_cutter.h"
#include "worker/exchange/rate_meter.h"
#include "worker/fetch/fetch.h"
#include "worker/loop/pipe.h"
#include "worker/loop/socket_memory.h"

namespace streamgate {

class BodyRelay final : public BodyPath, public Fetch::Sink {
 public:
  // gathered: small chunks are sent together at the end of a read. as_they_come: each piece is sent
  // at once.
  enum class Pieces { as_they_come, gathered };

  // All relays of a worker share them. They outlive the relay.
  struct Tools {
    PipePool& pipes;
    SocketMemory& socket_memory;
    RateMeter* meter = nullptr;  // null: the stream may have any bandwidth
  };

  // `client` and `observer` outlive the relay. The client's head has been sent.
  BodyRelay(ClientStream& client, const Tools& tools, Observer& observer, Pieces pieces)
      : client_(client), tools_(tools), observer_(observer), pieces_(pieces) {}

  // A live MPEG-TS body: it is sent in whole packets, so that another body can continue it. Call it
  // before the first write().
  void cut_packets() { cutter_ = std::make_unique<PacketCutter>(); }
  // The body of another answer follows.
  void begin_next_body();

  void write(std::string_view bytes) override;
  void flush() override;
  void on_client_drained() override;
  void finish() override;
  void cut() override { finish(); }

  size_t room() override;
  Pipe* borrow_pipe(uint64_t left) override;
  void on_piped() override;
  std::optional<uint64_t> send_file(const FileBytes& bytes) override;
  uint64_t taken() const override { return taken_; }

 private:
  bool holds_bytes() const { return pipe_ != nullptr && pipe_->bytes() > 0; }
  Flow drain_pipe();
  Flow send(std::string_view bytes);
  Flow send_gathered();
  void report(Flow flow);

  ClientStream& client_;
  const Tools tools_;
  Observer& observer_;
  const Pieces pieces_;
  PipeLoan pipe_;                         // holds bytes only while the client does not take them
  std::unique_ptr<PacketCutter> cutter_;  // null: the body is not cut into packets
  std::string gathered_;
  uint64_t taken_ = 0;
  bool finished_ = false;  // finish() or cut() was called
};

}  // namespace streamgate
