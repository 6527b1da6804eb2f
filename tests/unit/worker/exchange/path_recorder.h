// Records the reports of a BodyPath, and sends the head when the path requires it.
#pragma once

#include <optional>

#include "tests/unit/client_side.h"
#include "worker/exchange/body_path.h"

namespace streamgate::testing_peers {

class PathRecorder final : public BodyPath::Observer, public ClientStream::Observer {
 public:
  explicit PathRecorder(ClientSide& client) : client_(client) { client.begin(this); }

  void on_path_head(const ClientFraming& framing, ContentCoding body_coding) override {
    head = framing;
    coding = body_coding;
    client_.stream.send_head("HEAD\r\n\r\n", framing, true);
  }
  bool may_compress() const override {
    ++questions;
    return takes_gzip;
  }
  void on_path_flow(BodyPath::Flow flow) override {
    if (flow == BodyPath::Flow::open) ++opened;
    if (flow == BodyPath::Flow::full) ++filled;
    if (flow == BodyPath::Flow::gone) gone = true;
  }
  // The exchange ends then, and no longer passes on that the client has drained.
  void on_path_sent() override {
    ++sent;
    path = nullptr;
  }
  void on_path_failed(const Error& error) override { failure = error; }

  void on_client_drained() override {
    if (path != nullptr) path->on_client_drained();
  }
  void on_client_gone(Reason /*reason*/) override { gone = true; }

  BodyPath* path = nullptr;  // gets on_client_drained()
  bool takes_gzip = false;
  mutable int questions = 0;
  std::optional<ClientFraming> head;
  ContentCoding coding = ContentCoding::identity;
  int opened = 0;
  int filled = 0;
  int sent = 0;
  bool gone = false;
  std::optional<Error> failure;

 private:
  ClientSide& client_;
};

}  // namespace streamgate::testing_peers
