// The path of a body that is a document: inflated, rewritten, gathered, and sent as the client
// takes it. It is read without asking for room, because its rewritten size is unknown. Rewriting
// stops while the client is full, and after a slice of work, until the loop has served the others.
// In that time the input waits here as it came from the upstream, at most one read. The output for
// one client is at most 256 KiB and one line, or one document that is held until its end: 4 MiB of
// JSON, 16 MiB of a playlist whose variants are limited.
//
// A document whose text reaches `compress_from` bytes is sent gzip-coded if the client accepts it.
// The client's request is not searched for that before. While the text is shorter, that of a slow
// upstream is held back for at most 200 ms. Afterwards each pause of the upstream sends everything
// that has been rewritten.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/counters.h"
#include "worker/client/stream.h"
#include "worker/documents/document_body.h"
#include "worker/exchange/body_path.h"
#include "worker/exchange/document_coder.h"
#include "worker/loop/request_note.h"
#include "worker/loop/timer_wheel.h"
#include "worker/loop/work_queue.h"

namespace streamgate {

class DocumentPath final : public BodyPath {
 public:
  // Shared by all documents of a worker. Outlives the path.
  struct Tools {
    DocumentBodies& bodies;
    WorkQueue& work;
    TimerWheel& wheel;
    Counters& counters;
  };
  struct Delivery {
    ClientFraming unknown_length;  // of a document that is sent before its end is known
    size_t compress_from = 0;      // bytes of rewritten text; 0: never
    uint64_t declared_length = 0;  // of the upstream's body; 0: unknown
  };

  // `body` has begun. `client` and `observer` outlive the path.
  DocumentPath(ClientStream& client, const Tools& tools, std::unique_ptr<DocumentBody> body,
               Observer& observer, const Delivery& delivery);
  ~DocumentPath() override;

  void write(std::string_view bytes) override;
  void flush() override;
  void on_client_drained() override;
  void finish() override;
  void cut() override;

 private:
  enum class Coding { undecided, identity, gzip };
  // For the pauses of the upstream. Made when it is first needed, because most documents arrive in
  // one read.
  struct Pause {
    explicit Pause(DocumentPath& path);
    Deadline held_too_long;
    WorkQueue::Task send;  // after all reads that are due, so that each pause flushes once
  };

  bool is_waiting() const { return client_.is_full() || next_slice_.is_scheduled(); }
  void go_on();
  bool proceed(std::string_view input);
  Result<Flow> rewrite(std::string_view& input);
  size_t piece_bytes();
  Flow pass_on();
  Result<Flow> end_read();
  bool holds_back();
  void choose_coding();
  void set_coding(Coding coding);
  void on_held_too_long();
  void on_pause();
  void complete();
  bool finish_body();
  bool code_rest();
  BlockBuffer& pending() { return coder_ ? coder_->output() : body_->output(); }
  Pause& pause();
  Flow send();
  void send_head(const ClientFraming& framing);
  void report(const Result<Flow>& flow);

  ClientStream& client_;
  const Tools tools_;
  std::unique_ptr<DocumentBody> body_;  // borrowed
  Observer& observer_;
  const Delivery delivery_;
  bool head_sent_ = false;
  bool is_ended_ = false;  // finish() or cut() was called
  bool is_cut_ = false;
  bool is_body_finished_ = false;
  Coding coding_;
  std::unique_ptr<DocumentCoder> coder_;  // Coding::gzip
  std::unique_ptr<Pause> pause_;
  size_t work_ = 0;     // all that was done, in bytes read and written
  std::string input_;   // not rewritten yet: the client is full, or the next slice is due
  size_t send_at_ = 0;  // bytes of rewritten text
  const RequestNote* const note_ = current_note();
  WorkQueue::Task next_slice_;
};

}  // namespace streamgate
