// One client request and the upstream response that answers it: the proxy's unit of work.
//
//   admit -> resolve -> connect -> send_request -> on_head -> on_body -> on_end -> finish
//
// The steps stand below, and in exchange.cc, in that order. Each one starts the next, or calls
// fail(), which ends in finish(): every exchange finishes exactly once, with one access-log line. A
// redirect, a 403 to be asked again without Referer, a pooled connection that was dead, and a
// playlist that was asked with a Range go back to resolve or connect: another attempt of the same
// exchange.
//
// Lifetime: ExchangeList owns it. Everything that can call back into it (lookup_, attempt_,
// connection_, client_) is a handle or a loan returned in finish(), and finish() retires it through
// the Reaper, so no callback ever finds it destroyed.
//
// The only place where the client side and the upstream side meet.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/client/gate.h"
#include "worker/documents/document_body.h"
#include "worker/documents/sniffer.h"
#include "worker/exchange/body_relay.h"
#include "worker/exchange/environment.h"
#include "worker/fetch/resumption.h"
#include "worker/links/stream_request.h"
#include "worker/upstream/pool.h"
#include "worker/upstream/resolver.h"

namespace streamgate {

class Exchange final : public Retirable,
                       private Resolver::Observer,
                       private UpstreamPool::Observer,
                       private ResponseHandler,
                       private BodySink,
                       private ClientObserver {
 public:
  Exchange(ExchangeEnvironment& environment, ClientGate& gate);
  ~Exchange() override;

  void start();

  // For the operator's log of what is going on: step, age, bytes.
  void log_state() const;

 private:
  enum class Step { admit, resolve, connect, send_request, relay_head, relay_body, finished };
  enum class BodyMode { undecided, relay, rewrite };
  friend class ExchangeList;

  // A response of our own: a status and the whole text, head and body.
  void answer(int status, const std::string& text);
  void send_own(int status, const std::string& text, bool keep_alive);
  void answer_options();
  void answer_health();

  void admit();

  void resolve();
  void on_resolved(const std::vector<IpAddress>& addresses) override;
  void on_resolve_failed(Error error) override;

  void connect(UpstreamPool::Freshness freshness);
  void on_connected(UpstreamConnection& connection) override;
  void on_connect_failed(Error error) override;

  void send_request();

  // From the upstream, in this order: one head, any number of body pieces, one end.
  void on_head(const ResponseHead& head) override;
  void on_body(std::string_view bytes) override;
  void on_read_done() override;
  void on_end() override;
  void on_upstream_error(Error error, Retry retry) override;

  // Another attempt; each drops the connection that gave the reason for it.
  void follow_redirect(std::string_view location);
  bool names_itself() const;
  void retry_without_referer();
  void retry_without_range();

  // The body (exchange_body.cc): sniffed, then relayed or rewritten.
  void begin_body();
  bool decide(Verdict verdict);
  bool is_complete_range() const;
  void start_rewriting(ContentCoding coding);
  void forward(std::string_view bytes);
  void rewrite(std::string_view bytes);
  void flush_playlist();
  void end_playlist();
  void send_relayed_head(const ClientFraming& framing, bool is_playlist);
  ClientFraming framing_for_unknown_length() const;

  // Relayed unchanged (exchange_relay.cc), as the client takes it.
  void start_relaying();
  size_t room() override;
  Pipe* lend_pipe(uint64_t left) override;
  void on_piped() override;
  void end_relaying();
  void take_flow(ClientStream::Flow flow);

  // A body that was cut: its rest from another connection, or fail().
  void resume_or_fail(const Error& error);
  bool may_resume() const;
  void resume();
  void continue_body(const ResponseHead& head);

  // Back-pressure: a client that does not take what it is sent stops the upstream's reads.
  void on_client_drained() override;
  void on_client_gone(Reason reason) override;

  void fail(const Error& error);
  // How the client's side ends: in order, by a reset, or it ended by itself.
  enum class End { complete, broken, client_gone };
  void finish(std::optional<Reason> failure, std::string_view detail, End end);
  void drop_connection(UpstreamPool::Reuse reuse);
  void write_access_line(std::string_view token, std::string_view detail);
  void enter(Step step);
  static std::string_view name_of(Step step);

  ExchangeEnvironment& environment_;
  ClientGate* gate_;                // the client's; null once its response is finished
  const RequestHead& client_head_;  // the gate's; valid while gate_ is set
  Method method_;
  std::string route_;  // the path that was asked, for the log
  int64_t started_ms_;
  size_t list_index_ = 0;  // ExchangeList's
  Step step_ = Step::admit;

  std::optional<StreamRequest> request_;
  // The attempt that is under way.
  HttpUrl url_;                           // of this hop
  std::vector<SocketAddress> addresses_;  // checked by the guard
  unsigned redirects_ = 0;
  unsigned attempts_ = 0;
  bool cross_origin_ = false;  // a redirect has left the origin that was asked
  bool send_referer_ = true;
  bool send_range_ = true;
  bool reused_connection_ = false;

  // Of the response.
  const ResponseHead* head_ = nullptr;  // the connection's; valid until it is given back
  BodyMode body_mode_ = BodyMode::undecided;
  int upstream_status_ = 0;
  int client_status_ = 0;               // 0: no head has been written yet
  std::optional<BodySniffer> sniffer_;  // looks at head_ and url_
  std::unique_ptr<PlaylistBody> playlist_;
  std::optional<BodyRelay> relay_;
  bool body_ended_ = false;  // the upstream's part of it
  // Once a body was cut; every head that comes after that is the rest's.
  struct Resume {
    Resume(Exchange& exchange, Resumption what, Error why);

    Resumption rest;
    Error cause;  // why the body was cut first
    unsigned tried = 0;
    unsigned done = 0;
    uint64_t taken = 0;  // of the body, when it was tried last
    Deadline backoff;
  };
  std::unique_ptr<Resume> resume_;
  std::string unrewritten_;  // of the playlist, while the client takes no more; one read at most
  size_t flush_at_ = 0;      // of the playlist's output, in bytes
  uint64_t body_bytes_ = 0;

  Resolver::LookupHandle lookup_;
  UpstreamPool::AttemptHandle attempt_;
  UpstreamConnection* connection_ = nullptr;  // on loan from the pool, on_connected() to finish()
};

}  // namespace streamgate
