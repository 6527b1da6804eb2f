// POST /explain on the admin listener: explains a URL (worker/explain/explainer.h), one at a time
// over all workers, and answers with the report as JSON. The body is JSON,
// `{"url": "..", "headers": {"Name": "value"}}`, or a form, `url=..&referer=..&h_Name=..`.
//
// One per worker.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config.h"
#include "common/result.h"
#include "common/scoreboard.h"
#include "worker/client/gate.h"
#include "worker/fetch/fetch.h"
#include "worker/http/own_response.h"
#include "worker/loop/reaper.h"

namespace streamgate {

struct Report;

// The content of a request.
struct ExplainForm {
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers = {};

  bool operator==(const ExplainForm&) const = default;
};

// bad_request if the body is neither a form nor JSON of that shape, or has no url.
Result<ExplainForm> parse_explain_form(std::string_view content_type, std::string_view body);

class AdminExplain {
 public:
  // The objects outlive it.
  struct Environment {
    const Config& config;
    FetchEnvironment& fetches;
    const ScoreboardView& scoreboard;
    Slot& slot;
    Reaper& reaper;
  };

  // Sends an answer, in the way of the admin pages. The views are valid during the call only.
  using Send = void (*)(ClientGate& gate, OwnResponse response);

  AdminExplain(const Environment& environment, Send send);
  ~AdminExplain();
  AdminExplain(const AdminExplain&) = delete;
  AdminExplain& operator=(const AdminExplain&) = delete;

  // Explains the URL and answers later, unless the client leaves before. False, and nothing is
  // sent, while any worker explains a URL.
  bool start(ClientGate& gate, const ExplainForm& form);

 private:
  class Job;

  bool claim();
  void release();
  void send_json(ClientGate& gate, const Report& report) const;

  const Environment environment_;
  const Send send_;
  std::unique_ptr<Job> job_;  // none: this worker explains nothing now
};

}  // namespace streamgate
