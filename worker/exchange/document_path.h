// The path of a body that is a document: inflated, rewritten, gathered, and sent as the client
// takes it. Reads are not limited by the client's room, because the rewritten size is unknown.
// Input that cannot be rewritten yet waits here in its original form, at most one read.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/scoreboard.h"
#include "worker/client/stream.h"
#include "worker/documents/document_body.h"
#include "worker/exchange/body_path.h"

namespace streamgate {

class DocumentPath final : public BodyPath {
 public:
  // `body`: begin() has been called. `unknown_length`: the framing if sending starts before the
  // length of the document is known. References outlive the path.
  DocumentPath(ClientStream& client, DocumentBodies& bodies, std::unique_ptr<DocumentBody> body,
               Counters& counters, Observer& observer, const ClientFraming& unknown_length);
  ~DocumentPath() override;

  void write(std::string_view bytes) override;
  void flush() override;
  void on_client_drained() override;
  void finish() override;

 private:
  Result<Flow> rewrite(std::string_view bytes);
  Flow send();
  void send_head(const ClientFraming& framing);
  void report(const Result<Flow>& flow);

  ClientStream& client_;
  DocumentBodies& bodies_;
  std::unique_ptr<DocumentBody> body_;  // borrowed
  Counters& counters_;
  Observer& observer_;
  const ClientFraming unknown_length_;
  bool head_sent_ = false;
  std::string unrewritten_;  // input that waits while the client is full
  size_t send_at_ = 0;       // bytes of output
};

}  // namespace streamgate
