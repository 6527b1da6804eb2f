#include "worker/exchange/document_path.h"

#include <algorithm>
#include <utility>

namespace streamgate {
namespace {

// Output is gathered up to this size before it is sent. Most documents are shorter, so they leave
// in one send with a Content-Length. A longer one is sent in pieces as large as the client's socket
// takes, because each send costs.
constexpr size_t kSendBytes = size_t{64} * 1024;
constexpr size_t kMaxSendBytes = size_t{256} * 1024;

// Input that is offered at a time.
constexpr size_t kPieceBytes = size_t{4} * 1024;

// Bytes read and written by the rewriter before others have their turn: 0.03 to 2.3 ms (measured).
constexpr size_t kSliceBytes = size_t{512} * 1024;
// Of these, what is done before the clock is read: JSON with many links takes 2 to 5 ms for a whole
// slice. Most documents are shorter, so they never wait for others.
constexpr size_t kPromptBytes = size_t{128} * 1024;
// The text that is compressed at a time, and what each byte of it counts as: compressing a list of
// random names takes eight times as long as rewriting it (measured: 270 MB/s against 2.1 GB/s).
constexpr size_t kCodedPieceBytes = size_t{16} * 1024;
constexpr size_t kCodingCost = 8;
// How long a text that may still become long enough to be compressed waits. The deadline adds up to
// 100 ms.
constexpr std::chrono::milliseconds kMaxHeld{100};

// The cost of a call without output: several codings may decode many bytes to nothing.
constexpr size_t kIdleWorkBytes = size_t{16} * 1024;

}  // namespace

DocumentPath::DocumentPath(ClientStream& client, const Tools& tools,
                           std::unique_ptr<DocumentBody> body, Observer& observer,
                           const Delivery& delivery)
    : client_(client),
      tools_(tools),
      body_(std::move(body)),
      observer_(observer),
      delivery_(delivery),
      coding_(delivery.compress_from > 0 ? Coding::undecided : Coding::identity),
      next_slice_(tools.work, this, call<&DocumentPath::go_on>) {}

DocumentPath::~DocumentPath() { tools_.bodies.give_back(std::move(body_)); }

void DocumentPath::write(std::string_view bytes) {
  if (is_waiting()) {
    input_ += bytes;
    return;
  }
  if (work_ >= kPromptBytes && tools_.work.is_turn_long()) {
    input_ = bytes;
    next_slice_.schedule();
    return report(Flow::full);
  }
  proceed(bytes);
}

void DocumentPath::flush() {
  if (is_waiting()) return;
  if (const auto flow = end_read(); !flow || *flow != Flow::open) report(flow);
}

void DocumentPath::on_client_drained() { go_on(); }

void DocumentPath::finish() {
  is_ended_ = true;
  if (!is_waiting()) complete();
}

void DocumentPath::cut() {
  is_cut_ = true;
  finish();
}

// When the client takes bytes again, or the next slice is due.
void DocumentPath::go_on() {
  const RequestScope scope(note_);
  next_slice_.cancel();
  if (client_.is_full()) return;  // on_client_drained() follows
  const std::string input = std::exchange(input_, {});
  if (!proceed(input)) return;
  if (is_ended_) return complete();
  if (const auto flow = end_read(); !flow || *flow == Flow::gone) return report(flow);
  report(client_.is_full() ? Flow::full : Flow::open);
}

// False if it stopped before the end of the input, or the document has failed: that was reported.
bool DocumentPath::proceed(std::string_view input) {
  const Result<Flow> flow = rewrite(input);
  input_ = input;
  if (flow && *flow == Flow::open) return true;
  report(flow);
  return false;
}

// Removes from `input` what was rewritten. full: the client is, or the slice is over.
Result<BodyPath::Flow> DocumentPath::rewrite(std::string_view& input) {
  BlockBuffer& output = body_->output();
  if (output.size() == 0) send_at_ = piece_bytes();
  const size_t work_before = work_;
  size_t next_look = work_ + kPromptBytes;
  while (!input.empty() || body_->has_pending()) {
    if (client_.is_full()) return Flow::full;
    if (work_ >= next_look) {
      if (work_ - work_before >= kSliceBytes || tools_.work.is_turn_long()) {
        next_slice_.schedule();
        return Flow::full;
      }
      next_look += kPromptBytes;
    }
    const size_t output_before = output.size();
    const auto written = body_->write(input.substr(0, kPieceBytes), send_at_);
    if (!written) return written.error();
    input.remove_prefix(written->taken);
    const size_t grown = output.size() - output_before;
    work_ += written->plain > 0 ? written->work + grown : kIdleWorkBytes;
    if (coder_) work_ += kCodingCost * grown;
    if (output.size() >= send_at_ && pass_on() == Flow::gone) return Flow::gone;
  }
  // room() may have found the client full, although nothing was sent.
  return client_.is_full() ? Flow::full : Flow::open;
}

// Asked once for the output that is gathered, not for each small chunk.
size_t DocumentPath::piece_bytes() {
  switch (coding_) {
    case Coding::undecided:
      return delivery_.compress_from;
    case Coding::gzip:
      return kCodedPieceBytes;
    case Coding::identity:
      break;
  }
  return std::clamp(head_sent_ ? client_.room() : 0, kSendBytes, kMaxSendBytes);
}

// The rewritten text has reached send_at_.
BodyPath::Flow DocumentPath::pass_on() {
  if (coding_ == Coding::undecided) {
    choose_coding();
    if (body_->output().size() < send_at_) return Flow::open;
  }
  if (!coder_) return send();
  coder_->take(body_->output(), SIZE_MAX);
  return coder_->output().size() >= kSendBytes ? send() : Flow::open;
}

// The read that brought the input is over.
Result<BodyPath::Flow> DocumentPath::end_read() {
  if (auto settled = body_->settle(); !settled) return settled.error();
  if (coding_ == Coding::undecided && (body_->output().size() == 0 || holds_back())) {
    return Flow::open;
  }
  if (coder_) {
    pause().send.schedule();
    return Flow::open;
  }
  return body_->output().size() > 0 ? send() : Flow::open;
}

// Whether a text that is too short to be compressed waits for more of it.
bool DocumentPath::holds_back() {
  if (pause_) return true;
  if (!observer_.may_compress()) {
    set_coding(Coding::identity);
    return false;
  }
  // A text grows when its links are rewritten.
  if (delivery_.declared_length >= delivery_.compress_from) {
    set_coding(Coding::gzip);
    return false;
  }
  pause().held_too_long.arm(kMaxHeld);
  return true;
}

void DocumentPath::choose_coding() {
  set_coding(observer_.may_compress() ? Coding::gzip : Coding::identity);
}

void DocumentPath::set_coding(Coding coding) {
  coding_ = coding;
  if (coding == Coding::gzip) coder_ = std::make_unique<DocumentCoder>();
  if (pause_) pause_->held_too_long.cancel();
  send_at_ = piece_bytes();
}

DocumentPath::Pause::Pause(DocumentPath& path)
    : held_too_long(path.tools_.wheel, &path, call<&DocumentPath::on_held_too_long>),
      send(path.tools_.work, &path, call<&DocumentPath::on_pause>) {}

DocumentPath::Pause& DocumentPath::pause() {
  if (!pause_) pause_ = std::make_unique<Pause>(*this);
  return *pause_;
}

// The exchange may have ended in this turn of the loop, so nothing is sent here.
void DocumentPath::on_held_too_long() {
  set_coding(Coding::identity);
  pause_->send.schedule();
}

// The upstream pauses, or the text was held back for too long.
void DocumentPath::on_pause() {
  const RequestScope scope(note_);
  if (is_waiting()) return;  // go_on() follows
  if (coder_) {
    coder_->take(body_->output(), SIZE_MAX);
    coder_->flush();
  }
  if (pending().size() == 0) return;
  if (const Flow flow = send(); flow != Flow::open) report(flow);
}

// After the last input. Called again when the client has taken what is queued or the next slice is
// due, until the document is sent.
void DocumentPath::complete() {
  if (!is_body_finished_ && !finish_body()) return;
  if (coder_ && !code_rest()) return;
  pause_.reset();
  if (!head_sent_) send_head({ClientFraming::Kind::length, pending().size()});
  // The stream queues what the socket does not take.
  if (send() == Flow::gone) return report(Flow::gone);
  tools_.bodies.give_back(std::move(body_));  // now, for the next document of this turn of the loop
  observer_.on_path_sent();
}

// False if the document has failed.
bool DocumentPath::finish_body() {
  is_body_finished_ = true;
  // The last line of a document that was cut may be incomplete, so it is not sent.
  if (auto ended = is_cut_ ? body_->settle() : body_->finish(); !ended) {
    observer_.on_path_failed(ended.error());
    return false;
  }
  count(tools_.counters, Counter::playlist_lines_too_long, body_->lines_too_long());
  if (coding_ == Coding::undecided && body_->output().size() >= delivery_.compress_from) {
    choose_coding();
  }
  return true;
}

// A document that was held until its end is coded in slices too. False if a later slice continues,
// or if the client is gone.
bool DocumentPath::code_rest() {
  BlockBuffer& text = body_->output();
  for (size_t work = 0; text.size() > 0; work += kCodingCost * kCodedPieceBytes) {
    if (client_.is_full()) return false;
    if (work >= kSliceBytes) {
      next_slice_.schedule();
      return false;
    }
    coder_->take(text, kCodedPieceBytes);
    // Most documents leave in one send with a Content-Length.
    const size_t most = head_sent_ ? kSendBytes : kMaxSendBytes;
    if (coder_->output().size() >= most && send() == Flow::gone) {
      report(Flow::gone);
      return false;
    }
  }
  is_cut_ ? coder_->flush() : coder_->finish();
  return true;
}

void DocumentPath::report(const Result<Flow>& flow) {
  if (!flow) return observer_.on_path_failed(flow.error());
  observer_.on_path_flow(*flow);
}

BodyPath::Flow DocumentPath::send() {
  if (!head_sent_) send_head(delivery_.unknown_length);
  return pending().hand_over([this](evbuffer* text) { return client_.write(text); });
}

void DocumentPath::send_head(const ClientFraming& framing) {
  head_sent_ = true;
  observer_.on_path_head(framing, coder_ ? ContentCoding::gzip : ContentCoding::identity);
}

}  // namespace streamgate
