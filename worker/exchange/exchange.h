// One client request and the answer to it: the proxy's unit of work.
//
//   admit -> fetch -> relay_body -> finished
//
// admit parses the request, checks access and limits, and answers requests that need no upstream. A
// client that has used up its bandwidth waits here. fetch lasts until the client's head is written:
// the upstream's half (worker/fetch/fetch.h) resolves, connects, follows redirects and reports the
// final head; the first bytes of the body decide which BodyPath it takes. relay_body lasts until
// the client's stream has the whole body. Every step that fails calls fail(), which ends in
// finish(): each exchange finishes exactly once, with one access-log line.
//
// Lifetime: ExchangeList owns it. finish() stops the fetch, leaves the client's stream and retires
// the exchange through the Reaper, so no callback ever finds it destroyed.
//
// The client's and the upstream's side meet only here.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "worker/cache/client_fetch.h"
#include "worker/client/gate.h"
#include "worker/client/paced_refusals.h"
#include "worker/documents/sniffer.h"
#include "worker/exchange/body_path.h"
#include "worker/exchange/body_relay.h"
#include "worker/exchange/document_path.h"
#include "worker/exchange/environment.h"
#include "worker/exchange/stream_limits.h"
#include "worker/fetch/fetch.h"
#include "worker/links/link_context.h"
#include "worker/links/stream_request.h"
#include "worker/loop/request_note.h"

namespace streamgate {

class Exchange final : public Retirable,
                       private Fetch::Observer,
                       private BodyPath::Observer,
                       private ClientStream::Observer,
                       private RateMeter::Observer {
 public:
  Exchange(ExchangeEnvironment& environment, ClientGate& gate);
  ~Exchange() override;

  void start();

  // Logs step, age and bytes, for the operator's list of live exchanges.
  void log_state() const;
  // The same for the table of live streams, without the rate.
  StreamFacts facts() const;
  // Counts the bytes that the client has been sent since the last call.
  void count_sent() { count_sent(body_bytes_ + gate_->stream().body_bytes_sent()); }
  bool has_upstream() const { return fetch_.has_value(); }
  int64_t started_ms() const { return started_ms_; }
  // LiveStreams'.
  LiveStreams::Row stream_row() const { return stream_row_; }
  void set_stream_row(LiveStreams::Row row) { stream_row_ = row; }

 private:
  enum class Step { admit, fetch, relay_body, finished };
  friend class ExchangeList;

  // admit
  void admit();
  Result<void> check_limits();
  Result<void> check_access();
  Result<void> count_stream();
  void refuse(const Error& error);
  void on_refusal_turn(PacedRefusals::Ending ending);
  void begin_fetch();
  void on_bandwidth() override;
  void note_target();
  void answer_options();
  void answer_health();
  void answer_page();
  void answer_ready();
  void answer(int status, const std::string& text);
  void send_own(int status, const std::string& text, bool keep_alive);
  void redirect_to_granted_link();
  bool needs_own_link() const;
  void redirect_to_own_link();
  void redirect_to(std::string_view carry, std::string_view url);
  std::string proxy_origin() const;

  // fetch: from the upstream, in this order: one head, any number of pieces of the body, one end.
  void on_next_url() override;
  void on_head(const ResponseHead& head) override;
  void on_body(std::string_view bytes) override;
  void on_read_done() override;
  void on_next_body() override;
  void on_end() override;
  void on_failed(const Error& error) override;
  std::optional<IpAddress> client_of_names() const override;

  // The body's path.
  bool decide(DocumentKind kind, std::string_view next);
  std::string_view player_agent() const;
  bool retry_with_other_identity();
  void note_media_type();
  void answer_head(DocumentKind kind);
  void begin_relay();
  bool may_reconnect() const;
  void begin_live(std::string_view first_bytes);
  DocumentKind expected_kind() const;
  void begin_document(DocumentKind kind);
  void fill_in(DocumentSetting& setting);
  void fill_in_options(DocumentSetting& setting) const;
  void add_authorization(std::string& parameters) const;
  void fill_in_cookies(DocumentSetting& setting);
  ChildOrigin nearest_child() const;

  // relay_body
  void keep_head();
  void send_relayed_head(const ClientFraming& framing, bool is_rewritten,
                         ContentCoding coding = ContentCoding::identity);
  ClientFraming framing_for_unknown_length() const;
  void on_path_head(const ClientFraming& framing, ContentCoding coding) override;
  bool may_compress() const override;
  void on_path_flow(BodyPath::Flow flow) override;
  void on_path_sent() override;
  void on_path_failed(const Error& error) override;
  void on_client_drained() override;
  void on_client_gone(Reason reason) override;

  // finished
  void fail(const Error& error);
  // How the client's side ends. complete: in order. cut: after the bytes that were written, as an
  // incomplete response. broken: by a reset. client_gone: it has already ended.
  enum class End { complete, cut, broken, client_gone };
  void finish(std::optional<Reason> failure, std::string_view detail, End end);
  void give_up_place();
  void count_sent(uint64_t sent);
  void count_end(std::optional<Reason> failure, int64_t duration_ms);
  void count_failure_of_host(std::optional<Reason> failure);
  void count_cache_outcome();
  void write_access_line(std::optional<Reason> failure, std::string_view detail,
                         int64_t duration_ms);

  void enter(Step step);
  std::string_view step_name() const;

  ExchangeEnvironment& environment_;
  ClientGate* gate_;                // the client's; null once its response is finished
  const RequestHead& client_head_;  // the gate's; valid while gate_ is set
  const Method method_;
  const std::string route_;  // the requested path, for the log
  const int64_t started_ms_;
  RequestNote note_;
  size_t list_index_ = 0;  // ExchangeList's
  LiveStreams::Row stream_row_ = LiveStreams::kNoRow;
  Step step_ = Step::admit;

  std::optional<StreamRequest> request_;
  std::unique_ptr<Access> access_;      // null if none is required
  std::unique_ptr<StreamPlace> place_;  // null if no limit counts the stream
  struct Refusal {
    Refusal(Error why, PacedRefusals& all, Exchange& exchange, PacedRefusals::Turn::Callback answer)
        : error(std::move(why)), turn(all, &exchange, answer) {}
    Error error;
    PacedRefusals::Turn turn;
  };
  std::unique_ptr<Refusal> refusal_;  // set: the refusal waits, or has waited
  std::optional<ClientFetch> fetch_;
  struct OwnHead {
    explicit OwnHead(const ResponseHead& source);
    ResponseHead head;  // its fields point into `text`
    std::string text;
  };
  const ResponseHead* head_ = nullptr;  // the fetch's, until keep_head()
  std::unique_ptr<OwnHead> own_head_;
  std::optional<BodySniffer> sniffer_;  // looks at head_ and the fetch's URL
  BodyPath* path_ = nullptr;            // in path_storage_; null: undecided, or there is no body
  std::variant<std::monostate, BodyRelay, DocumentPath> path_storage_;  // in place: no allocation
  std::optional<Error> cut_by_;  // set: the body ends too early, and the path sends its last bytes
  bool is_rewritten_ = false;    // the answer is rewritten
  bool is_not_a_playlist_ = false;  // a web page was relayed in place of one
  std::string_view document_type_;  // of a rewritten document that is no HLS playlist; static
  std::string_view kind_;  // of the answer: `file`, `live` or `playlist`; empty: not known yet
  std::string_view media_type_;           // of the first bytes, or of the name; static
  std::optional<int64_t> first_byte_ms_;  // set only if the access log has it
  int client_status_ = 0;                 // 0: no head has been written yet
  uint64_t body_bytes_ = 0;
  uint64_t counted_bytes_ = 0;  // of those sent, by count_sent()
};

}  // namespace streamgate
