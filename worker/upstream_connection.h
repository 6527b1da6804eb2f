// One connection to an origin: an fd (and an SSL), one request at a time, large reads of our own
// into the worker's scratch buffer (libevent 2.1 would read 4 KiB at most), bytes -> ResponseParser
// -> ResponseHandler. Not a bufferevent, for that reason.
//
// Level 2. Owned by UpstreamPool; an exchange holds it on loan between acquire() and give_back().
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/unique_fd.h"
#include "worker/event.h"
#include "worker/http_message.h"
#include "worker/reaper.h"
#include "worker/response_parser.h"
#include "worker/timer_wheel.h"

namespace streamgate {

// Implemented by Exchange. Order: on_head once, on_body any number of times, then on_end or
// on_upstream_error; on_read_done after all the pieces of one read. After on_end,
// on_upstream_error, or the loan's end nothing more comes. Any of these calls may end the loan.
class ResponseHandler {
 public:
  virtual void on_head(const ResponseHead& head) = 0;
  // `bytes` is only valid during the call.
  virtual void on_body(std::string_view bytes) = 0;
  virtual void on_read_done() = 0;
  virtual void on_end() = 0;
  // `retry_on_fresh_connection`: the connection came from the pool and died before a byte came.
  enum class Retry { no, on_fresh_connection };
  virtual void on_upstream_error(Error error, Retry retry) = 0;

 protected:
  ~ResponseHandler() = default;
};

enum class PauseReason : unsigned { client_full = 1U << 0U, deciding = 1U << 1U };

class UpstreamConnection : public Retirable {
 public:
  // Sends a whole request head; the response goes to `handler` until the loan ends.
  virtual void send_request(std::string request, Method method, ResponseHandler& handler) = 0;

  // Back-pressure by reason: nothing is read while any reason stands.
  virtual void pause(PauseReason reason) = 0;
  virtual void resume(PauseReason reason) = 0;

  virtual bool reused() const = 0;  // has served a request before this loan
};

}  // namespace streamgate
