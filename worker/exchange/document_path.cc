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

// Input that is rewritten at a time. References grow several times, and all output has to be sent
// or queued, so a piece must be small.
constexpr size_t kPieceBytes = size_t{4} * 1024;

}  // namespace

DocumentPath::DocumentPath(ClientStream& client, DocumentBodies& bodies,
                           std::unique_ptr<DocumentBody> body, Counters& counters,
                           Observer& observer, const ClientFraming& unknown_length)
    : client_(client),
      bodies_(bodies),
      body_(std::move(body)),
      counters_(counters),
      observer_(observer),
      unknown_length_(unknown_length) {}

DocumentPath::~DocumentPath() { bodies_.give_back(std::move(body_)); }

void DocumentPath::write(std::string_view bytes) {
  if (client_.is_full()) {
    unrewritten_ += bytes;
    return;
  }
  report(rewrite(bytes));
}

void DocumentPath::flush() {
  if (body_->output().size() > 0) report(send());
}

void DocumentPath::on_client_drained() {
  if (unrewritten_.empty()) return report(Flow::open);
  report(rewrite(std::exchange(unrewritten_, {})));
}

// Rewrites until the client is full. The rest of the input waits for on_client_drained().
Result<BodyPath::Flow> DocumentPath::rewrite(std::string_view bytes) {
  // room() is called once for the gathered output, not for each small chunk.
  if (body_->output().size() == 0) {
    send_at_ = std::clamp(head_sent_ ? client_.room() : 0, kSendBytes, kMaxSendBytes);
  }
  while (!bytes.empty() && !client_.is_full()) {
    const std::string_view piece = bytes.substr(0, kPieceBytes);
    bytes.remove_prefix(piece.size());
    if (auto written = body_->write(piece); !written) return written.error();
    if (body_->output().size() >= send_at_ && send() == Flow::gone) return Flow::gone;
  }
  unrewritten_ = bytes;
  // room() may have found the client full, although nothing was sent.
  return client_.is_full() ? Flow::full : Flow::open;
}

void DocumentPath::finish() {
  // Input can wait here only if the sniffer held it back, so it is short.
  if (auto written = body_->write(unrewritten_); !written) {
    return observer_.on_path_failed(written.error());
  }
  if (auto ended = body_->finish(); !ended) return observer_.on_path_failed(ended.error());
  count(counters_, Counter::playlist_lines_too_long, body_->lines_too_long());
  if (!head_sent_) send_head({ClientFraming::Kind::length, body_->output().size()});
  // The stream queues the bytes that the socket does not take: at most the output of one read.
  if (send() == Flow::gone) return report(Flow::gone);
  bodies_.give_back(std::move(body_));  // now, for the next document of this turn of the loop
  observer_.on_path_sent();
}

void DocumentPath::report(const Result<Flow>& flow) {
  if (!flow) return observer_.on_path_failed(flow.error());
  observer_.on_path_flow(*flow);
}

BodyPath::Flow DocumentPath::send() {
  if (!head_sent_) send_head(unknown_length_);
  return body_->output().hand_over([this](evbuffer* text) { return client_.write(text); });
}

void DocumentPath::send_head(const ClientFraming& framing) {
  head_sent_ = true;
  observer_.on_path_head(framing);
}

}  // namespace streamgate
