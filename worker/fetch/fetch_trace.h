// Watches the steps of a fetch, for `streamgate explain`. Only such requests have a trace: for all
// others each step costs one comparison. A traced fetch opens new connections and resumes no TLS
// session, so that every step happens.
#pragma once

#include "common/url.h"
#include "worker/http/message.h"
#include "worker/upstream/connect_trace.h"
#include "worker/upstream/dns_question.h"

namespace streamgate {

class FetchTrace : public ConnectTrace {
 public:
  // A URL is about to be resolved: the first one, each redirect, each alternative.
  virtual void on_url(const HttpUrl& url) = 0;
  // Before the guard checks the addresses.
  virtual void on_addresses(const ResolvedName& name) = 0;
  // A request is sent on a connection that is open.
  virtual void on_request() = 0;
  // A response head is complete, also that of a redirect. Valid during the call only.
  virtual void on_response(const ResponseHead& head) = 0;

 protected:
  ~FetchTrace() = default;
};

}  // namespace streamgate
