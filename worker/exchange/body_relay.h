// The path of a body that goes through unchanged: through a pipe where the kernel can move it, else
// through memory. Nothing is taken from the upstream that the client's socket has no room for, so
// that a viewer who stops reading leaves nothing here: no queue, and no pipe.
//
// The fetch reads by it (Fetch::relay_into): room() says how much, borrow_pipe() where to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/client/stream.h"
#include "worker/exchange/body_path.h"
#include "worker/fetch/fetch.h"
#include "worker/loop/pipe.h"

namespace streamgate {

class BodyRelay final : public BodyPath, public Fetch::Sink {
 public:
  // Chunks that are small leave together; pieces of other bodies leave as they come.
  enum class Pieces { as_they_come, gathered };

  // All three outlive the relay. The client's head has been sent.
  BodyRelay(ClientStream& client, PipePool& pipes, Observer& observer, Pieces pieces)
      : client_(client), pipes_(pipes), observer_(observer), pieces_(pieces) {}

  void write(std::string_view bytes) override;
  void flush() override;
  void on_client_drained() override;
  void finish() override;

  size_t room() override;
  Pipe* borrow_pipe(uint64_t left) override;
  void on_piped() override;
  uint64_t taken() const override { return taken_; }

 private:
  bool holds_bytes() const { return pipe_ != nullptr && pipe_->bytes() > 0; }
  Flow drain_pipe();
  Flow send_gathered();
  void report(Flow flow);

  ClientStream& client_;
  PipePool& pipes_;
  Observer& observer_;
  const Pieces pieces_;
  PipeLoan pipe_;  // holds bytes only while the client does not take them
  std::string gathered_;
  uint64_t taken_ = 0;
  bool finished_ = false;  // by the upstream
};

}  // namespace streamgate
