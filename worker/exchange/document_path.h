// The path of a body that is a document: inflated, rewritten, gathered, and sent as the client
// takes it. It is not read by room, because its rewritten size is unknown. Rewriting stops while
// the client is full, and after a slice of work, until the loop has served the others; the input
// waits here as it came from the upstream, at most one read. The output for one client is at most
// 256 KiB and one line.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/scoreboard.h"
#include "worker/client/stream.h"
#include "worker/documents/document_body.h"
#include "worker/exchange/body_path.h"
#include "worker/loop/request_note.h"
#include "worker/loop/work_queue.h"

namespace streamgate {

class DocumentPath final : public BodyPath {
 public:
  // What all documents of a worker share. Outlives the path.
  struct Tools {
    DocumentBodies& bodies;
    WorkQueue& work;
    Counters& counters;
  };

  // `body` has begun. `unknown_length`: the framing of a document that is sent before its end is
  // known. `client` and `observer` outlive the path.
  DocumentPath(ClientStream& client, const Tools& tools, std::unique_ptr<DocumentBody> body,
               Observer& observer, const ClientFraming& unknown_length);
  ~DocumentPath() override;

  void write(std::string_view bytes) override;
  void flush() override;
  void on_client_drained() override;
  void finish() override;
  void cut() override;

 private:
  bool is_waiting() const { return client_.is_full() || next_slice_.is_scheduled(); }
  void go_on();
  bool proceed(std::string_view input);
  Result<Flow> rewrite(std::string_view& input);
  void complete();
  Flow send();
  void send_head(const ClientFraming& framing);
  void report(const Result<Flow>& flow);

  ClientStream& client_;
  const Tools tools_;
  std::unique_ptr<DocumentBody> body_;  // borrowed
  Observer& observer_;
  const ClientFraming unknown_length_;
  bool head_sent_ = false;
  bool is_ended_ = false;  // finish() or cut() was called
  bool is_cut_ = false;
  std::string input_;   // not rewritten yet: the client is full, or the next slice is due
  size_t send_at_ = 0;  // bytes of output
  const RequestNote* const note_ = current_note();
  WorkQueue::Task next_slice_;
};

}  // namespace streamgate
