// The answer of an upstream to one request. A fetch resolves the name, checks the name and its
// addresses with the guard, connects, sends the request, follows redirects, retries after a 403,
// and requests the missing bytes of a truncated body. It knows no client: an observer takes the
// answer.
//
//   start -> resolve -> connect -> await_head -> read_body -> finished
//
// The methods are declared in that order, and in each of fetch.cc, fetch_urls.cc and
// fetch_recovery.cc they are defined in it. A redirect goes back to resolve. Five cases go back to
// connect: a pooled connection that was dead, a second try without Referer and Origin after a 403
// (RFC 9110 15.5.4), a GET for the first byte after a HEAD that the upstream refuses, a playlist
// that is requested as a whole, and the missing bytes of a body.
//
// A live body that ends may be continued by another answer (worker/fetch/reconnection.h), and a URL
// that fails may have alternatives (worker/fetch/failover.h): both go back to resolve. So does the
// request for a URL that is cut before a `|` (FetchRequest::before_bar).
//
// Runs in a worker. The owner keeps it alive until the callback that ended it has returned
// (Reaper).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/result.h"
#include "common/scoreboard.h"
#include "worker/fetch/cookies.h"
#include "worker/fetch/digest.h"
#include "worker/fetch/failover.h"
#include "worker/fetch/fetch_request.h"
#include "worker/fetch/loop_mark.h"
#include "worker/fetch/origin_marks.h"
#include "worker/fetch/reconnection.h"
#include "worker/fetch/resumption.h"
#include "worker/fetch/target_guard.h"
#include "worker/loop/request_note.h"
#include "worker/loop/timer_wheel.h"
#include "worker/upstream/host_settings.h"
#include "worker/upstream/pool.h"
#include "worker/upstream/resolver.h"

namespace streamgate {

// The objects that all fetches of a worker share. Outlives them.
struct FetchEnvironment {
  const UpstreamConfig& config;
  const TargetGuard& guard;
  const LoopMark& loop_mark;
  OriginMarks& marks;
  HostTable& hosts;
  Resolver& resolver;
  UpstreamPool& pool;
  TimerWheel& wheel;
  Counters& counters;
  // Resolves a Location (links/upstream_url.h).
  Result<UpstreamUrl> (*resolve_location)(const HttpUrl& base, std::string_view location);
};

class Fetch final : private Resolver::Observer,
                    private UpstreamPool::Observer,
                    private UpstreamConnection::Observer {
 public:
  // Takes the answer. Order: on_head, on_body any number of times, on_end. on_failed may come at
  // any time instead. After retry_without_range() and change_identity() the order begins again with
  // on_head. Each call may stop() the fetch. No call follows stop(), on_end or on_failed. start()
  // may call on_failed.
  class Observer {
   public:
    // url() is now another URL of the link, or the first one again. Redirects are not reported.
    virtual void on_next_url() = 0;
    // A redirect that is followed; url() is still the redirected one. Must not end the fetch.
    virtual void on_redirect(const ResponseHead& /*head*/) {}
    // The final head. A redirect that is followed and an answer that is retried are not reported.
    // `head` is valid until the fetch ends or begins again.
    virtual void on_head(const ResponseHead& head) = 0;
    // `bytes` is valid during the call only.
    virtual void on_body(std::string_view bytes) = 0;
    // After the last piece of each read, and before the missing bytes of a truncated body are
    // requested.
    virtual void on_read_done() = 0;
    // After reconnect_at_end(): the next piece is the first piece of another answer's body.
    virtual void on_next_body() = 0;
    virtual void on_end() = 0;
    virtual void on_failed(const Error& error) = 0;
    // The client whose limit new names count against (Resolver). None: only the limit for all
    // clients.
    virtual std::optional<IpAddress> client_of_names() const = 0;

   protected:
    ~Observer() = default;
  };

  // Takes a body that is relayed unchanged. Only such a body is resumed after a truncation.
  class Sink : public BodySink {
   public:
    // Bytes of the body that the sink has taken from pipes and from on_body(). The missing bytes
    // begin at this offset.
    virtual uint64_t taken() const = 0;
    // Sends the next bytes of the body from a file, as many as the client takes, and returns their
    // number. None: not possible, and the bytes go to on_body(). `size` is at most room().
    struct FileBytes {
      int fd;
      uint64_t offset;
      uint64_t size;
    };
    virtual std::optional<uint64_t> send_file(const FileBytes& /*bytes*/) { return std::nullopt; }

   protected:
    ~Sink() = default;
  };

  enum class Step { resolve, connect, await_head, read_body, finished };

  // `environment` and `observer` outlive the fetch. `request.url` has an http or https scheme.
  Fetch(FetchEnvironment& environment, FetchRequest&& request, Observer& observer);
  ~Fetch();
  Fetch(const Fetch&) = delete;
  Fetch& operator=(const Fetch&) = delete;

  void start();
  // Allowed inside a call to the observer: all further calls go to `observer`, which outlives the
  // fetch.
  void set_observer(Observer& observer) { observer_ = &observer; }

  // Allowed from on_head() on. The body is then read as far as `sink` has room. `sink` outlives the
  // fetch.
  void relay_into(Sink& sink);
  // Allowed after relay_into(), up to on_end(), if FetchRequest::may_reconnect. When the body ends
  // or breaks, the URL is requested again, and the body of an answer of the same kind follows.
  void reconnect_at_end();
  bool may_reconnect() const { return request_.may_reconnect; }
  // In on_end(): the body has ended, but the fetch continues, because reconnect_at_end() was called
  // inside this on_end().
  bool continues_after_end() const { return live_ && step_ != Step::finished; }
  // Allowed from on_head() to on_end(). Repeats the request without Range and If-Range.
  void retry_without_range();
  // Whether the request may be repeated as that of a player, or of a browser if it was that of a
  // player (FetchRequest::player_agent). Once. Allowed from on_head() to on_end().
  bool may_change_identity() const;
  // Requires that. Begins again from the link's URL.
  void change_identity(std::string_view player_agent);
  bool has_changed_identity() const { return has_changed_identity_; }
  bool is_as_player() const { return !request_.player_agent.empty(); }
  // Back-pressure: while paused nothing is read and no time limit of the upstream runs.
  void pause();
  void go_on();
  // Ends the fetch; its connection is kept for others if the response was complete. Idempotent.
  void stop();

  // The text of a link's cookies (worker/fetch/cookies.h) for the children of the document whose
  // head was reported: the cookies of the request's link and of all hops. Allowed from on_head()
  // on, while that head is valid.
  std::string cookies_for_children();

  // For logs and decisions; valid at any time.
  Step step() const { return step_; }
  const HttpUrl& url() const { return request_.url; }    // of the hop that was tried last
  bool left_origin() const { return left_origin_; }      // a redirect led to another origin
  bool is_redirected() const { return redirects_ > 0; }  // url() is not one of the link's
  // The userinfo of the alternative that was asked, or of the last redirect that had one; empty if
  // it was for another origin than url()'s.
  std::string_view authorization() const { return authorization_; }
  bool asked_for_range() const { return send_range_ && request_.has_forwarded("Range"); }
  int upstream_status() const { return upstream_status_; }  // of the last head; 0: none came
  unsigned attempts() const { return attempts_; }           // requests that were sent
  unsigned resumed() const { return truncated_ ? truncated_->resumed : 0; }
  unsigned discontinuities() const { return live_ ? live_->discontinuities : 0; }
  bool reused_connection() const { return reused_connection_; }  // by the last attempt
  int64_t asked_ms() const { return asked_ms_; }  // TimerWheel's clock: the last attempt

 private:
  // The state of a live body.
  struct LiveBody {
    explicit LiveBody(Fetch& fetch);

    Reconnection rule;
    std::optional<Error> cause = std::nullopt;  // why the last body broke; none: it ended in order
    bool is_between = false;                    // from the end of a body to the next one
    unsigned discontinuities = 0;
    Deadline wait;
  };

  // The state of a truncated body. Every later head answers a request for the missing bytes.
  struct TruncatedBody {
    TruncatedBody(Fetch& fetch, Resumption what, Error why);

    Resumption wanted;
    Error cause;  // why the body was truncated the first time
    unsigned tried = 0;
    unsigned resumed = 0;
    uint64_t taken = 0;  // of the body, at the last try
    Deadline backoff;
  };

  Result<void> begin_failover();
  void ask(const UpstreamUrl& url);
  bool ask_next_url();
  bool may_ask_before_bar(int status) const;

  Result<void> check_name(const HttpUrl& url) const;
  void resolve();
  void connect_by_name();
  void on_resolved(const ResolvedName& name) override;
  void on_resolve_failed(Error error) override;
  std::optional<IpAddress> client() const override;

  void connect(UpstreamPool::Freshness freshness);
  void on_connected(UpstreamConnection& connection) override;
  void on_connect_failed(Error error) override;

  void take_cookies();
  void send_request();
  void on_head(const ResponseHead& head) override;
  void follow_redirect(std::string_view location);
  bool retry_refused(const ResponseHead& head);
  bool answer_challenge(const ResponseHead& head);
  std::string_view sent_authorization() const;
  std::string next_digest();
  bool may_send_referer_or_origin() const;
  void retry_without_referer();
  void retry_after_idle_timeout();
  bool may_ask_instead_of_head() const;
  void ask_instead_of_head();
  void answer_head(const ResponseHead& head);

  void on_body(std::string_view bytes) override;
  void on_read_done() override;
  void on_end() override;
  void on_upstream_error(Error error, Retry retry) override;

  void recover_or_fail(const Error& error);
  void request_missing_bytes_or_fail(const Error& error);
  bool may_request_missing_bytes() const;
  void request_missing_bytes();
  void continue_body(const ResponseHead& head);

  bool is_reconnecting() const { return live_ && live_->is_between; }
  void reconnect_or_end(const std::optional<Error>& error);
  void reconnect();
  void continue_live_body(const ResponseHead& head);
  void end_live_body();

  void give_up_url(const Error& error);
  void fail(const Error& error);
  void say_which_redirect(Error& error) const;
  void release(UpstreamPool::Reuse reuse);
  void enter(Step step);

  FetchEnvironment& environment_;
  FetchRequest request_;  // its url follows the redirects, its cdn_loop gets our mark
  Observer* observer_;
  const RequestNote* const note_ = current_note();  // of the request that began the fetch
  Step step_ = Step::resolve;
  const HostSettings* settings_ = nullptr;  // of this hop
  // Of this hop, checked by the guard; none if a proxy resolves the name.
  std::vector<SocketAddress> addresses_;
  unsigned redirects_ = 0;
  unsigned attempts_ = 0;
  int upstream_status_ = 0;
  bool left_origin_ = false;
  std::string authorization_;              // of a URL with userinfo; for the origin of request_.url
  std::unique_ptr<DigestSession> digest_;  // for that origin; null: it has sent no challenge
  unsigned challenges_ = 0;                // that were answered
  bool has_changed_identity_ = false;
  bool send_referer_ = true;
  bool send_range_ = true;
  bool reused_connection_ = false;
  int64_t asked_ms_ = 0;
  bool asks_first_byte_ = false;  // the client's HEAD was refused: a GET with `Range: bytes=0-0`
  bool asks_before_bar_ = false;  // request_.before_bar, or a redirect of it
  std::unique_ptr<ResponseHead> head_of_whole_;  // made from the answer to that GET
  const ResponseHead* head_ = nullptr;           // the connection's; null without one
  std::unique_ptr<Cookies> cookies_;             // null: no link and no hop had any
  Sink* sink_ = nullptr;                         // set: the body is relayed unchanged
  std::unique_ptr<TruncatedBody> truncated_;
  std::unique_ptr<Failover> failover_;  // null: the link has one URL
  // The URL before redirects; null without redirects unless the body may reconnect.
  std::unique_ptr<UpstreamUrl> first_url_;
  std::unique_ptr<LiveBody> live_;  // null: the end of the body is the end
  Resolver::LookupHandle lookup_;
  UpstreamPool::AttemptHandle attempt_;
  int64_t connect_began_ms_ = 0;              // of attempt_
  UpstreamConnection* connection_ = nullptr;  // borrowed from the pool
};

// Whether the User-Agent of a browser or of a player is the choice of the fetch: neither the
// configuration nor the link has another one.
bool may_choose_identity(const FetchRequest& request, const HostSettings& settings);

// `resolve`, `connect`, ...
std::string_view name_of(Fetch::Step step);

}  // namespace streamgate
