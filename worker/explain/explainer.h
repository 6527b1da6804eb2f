// Explains one URL: fetches it as for a player, records each step, and reports the result with
// advice. It uses the proxy's own code: the fetch with its guard, resolver and pool, the sniffer,
// and the rewriter.
//
// Reads at most 1 MiB of the body, within the time limit of the request. Runs in a worker, or in
// the process of `streamgate explain`.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config.h"
#include "common/result.h"
#include "worker/documents/sniffer.h"
#include "worker/explain/body_kind.h"
#include "worker/explain/report.h"
#include "worker/fetch/fetch.h"
#include "worker/fetch/fetch_trace.h"
#include "worker/links/document_setting.h"
#include "worker/links/stream_request.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

struct ExplainRequest {
  StreamRequest link;
  std::chrono::milliseconds limit{10'000};
};

// `text` is an upstream's URL in any spelling that the url parameter may have, or a link to a proxy
// (worker/links/pasted_link.h; `public_url` is Config's). The referer, h_* and other parameters of
// a link are used. `headers` are names and values, as in h_ parameters. Fails with bad_url or
// bad_request, as parse_stream_request() does.
Result<StreamRequest> parse_explained(
    std::string_view text, const std::vector<std::pair<std::string, std::string>>& headers,
    std::string_view public_url);

// The report on a text that parse_explained() has refused.
Report report_on_refused(std::string_view text, const Error& error);

class Explainer final : private Fetch::Observer, private FetchTrace {
 public:
  class Observer {
   public:
    // Exactly one call, from inside start() or from the event loop, unless stop() comes first.
    virtual void on_explained(const Report& report) = 0;

   protected:
    ~Observer() = default;
  };

  // The references outlive the explainer. The owner keeps it alive until on_explained() has
  // returned to the event loop (Reaper).
  Explainer(FetchEnvironment& environment, const Config& config, ExplainRequest request,
            Observer& observer);
  ~Explainer() = default;
  Explainer(const Explainer&) = delete;
  Explainer& operator=(const Explainer&) = delete;

  void start();
  void stop();

 private:
  using Clock = std::chrono::steady_clock;

  void on_url(const HttpUrl& url) override;
  void on_addresses(const ResolvedName& name) override;
  void on_connecting(const SocketAddress& address) override;
  void on_address_failed(const SocketAddress& address, const Error& error) override;
  void on_transport_open(const SocketAddress& address) override;
  void on_handshake_ended(const TlsFacts& facts) override;
  void on_request() override;
  void on_response(const ResponseHead& head) override;

  void on_next_url() override {}
  void on_head(const ResponseHead& head) override;
  void on_body(std::string_view bytes) override;
  void on_read_done() override {}
  void on_next_body() override {}
  void on_end() override;
  void on_failed(const Error& error) override;
  std::optional<IpAddress> client_of_names() const override { return std::nullopt; }

  void decide(DocumentKind kind);
  BodyKind name_body() const;
  void read_document();
  void fill_in(DocumentSetting& setting) const;
  void on_limit();
  void fail(const Error& error);
  void finish();

  ExplainedHop& hop() { return report_.hops.back(); }
  ExplainedHop& hop_to_connect();
  ExplainedAddress& entry_of(const SocketAddress& address);
  static double since(Clock::time_point mark);

  FetchEnvironment& environment_;
  const Config& config_;
  const StreamRequest link_;
  const std::chrono::milliseconds limit_;
  Observer& observer_;
  Deadline deadline_;
  Report report_;
  std::optional<HttpUrl> url_;  // of this hop
  Clock::time_point started_;
  Clock::time_point step_began_;
  std::optional<BodySniffer> sniffer_;
  std::string declared_type_;  // the sniffer refers to it
  std::string path_;           // the sniffer refers to it
  DocumentKind kind_ = DocumentKind::none;
  std::string body_;  // its first bytes, still coded
  bool is_over_ = false;
  std::optional<Fetch> fetch_;  // the last member: it uses the others
};

}  // namespace streamgate
