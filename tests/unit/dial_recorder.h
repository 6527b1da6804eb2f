// Records the outcome of a dialer.
#pragma once

#include <optional>
#include <utility>

#include "common/result.h"
#include "common/socket_address.h"
#include "worker/upstream/dialer.h"

namespace streamgate::testing_peers {

struct DialRecorder final : Dialer::Observer {
  void on_dialed(UpstreamSocket made, const SocketAddress& where) override {
    ++calls;
    socket = std::move(made);
    address = where;
  }
  void on_dial_failed(Error why) override {
    ++calls;
    error = std::move(why);
  }

  int calls = 0;
  UpstreamSocket socket;
  SocketAddress address;
  std::optional<Error> error;
};

}  // namespace streamgate::testing_peers
