// The way of one body from an upstream to its client, unchanged: through a pipe where the kernel
// can move it, else through memory. Nothing is taken from the upstream that the client's socket has
// no room for, so that a viewer who stops reading leaves nothing here: no queue, and no pipe.
//
// A part of Exchange, from the client's head to the end of the body.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/client/stream.h"
#include "worker/loop/pipe.h"

namespace streamgate {

class BodyRelay {
 public:
  using Flow = ClientStream::Flow;

  BodyRelay(ClientStream& client, PipePool& pipes) : client_(client), pipes_(pipes) {}

  // For BodySink. A room of 0: wait for on_client_drained().
  size_t room();
  Pipe* lend_pipe(uint64_t left);

  // The pipe that was lent has been filled, and goes to the client.
  Flow take_pipe();
  // What the client left in it; after on_client_drained(), for as long as holds_bytes().
  Flow drain_pipe();
  bool holds_bytes() const { return pipe_ != nullptr && pipe_->bytes() > 0; }

  // Bytes of the body that came through memory. With `gather`, small pieces wait to leave together
  // with those that follow, until flush().
  Flow write(std::string_view bytes, bool gather);
  Flow flush();

  // Body bytes that were taken from the upstream, and are the client's or on the way to it.
  uint64_t taken() const { return taken_; }

 private:
  ClientStream& client_;
  PipePool& pipes_;
  PipeLoan pipe_;
  std::string gathered_;
  uint64_t taken_ = 0;
};

}  // namespace streamgate
