// The way of one response body from its fetch to the client. There are two: BodyRelay takes it over
// unchanged, DocumentPath rewrites it. The exchange picks one when it knows what the body is.
#pragma once

#include <string_view>

#include "common/result.h"
#include "worker/client/stream.h"
#include "worker/http/message.h"

namespace streamgate {

class BodyPath {
 public:
  using Flow = ClientStream::Flow;

  // Implemented by the exchange. Each call may end the exchange; the path is still alive when it
  // returns, and does no more then.
  class Observer {
   public:
    // The head is due: nothing of the body may go to the client before it. Called once.
    virtual void on_path_head(const ClientFraming& framing) = 0;
    // full: the client takes no more, so the fetch has to pause. open: it takes bytes again. gone:
    // the client has left.
    virtual void on_path_flow(Flow flow) = 0;
    // After finish(): every byte is with the client's stream.
    virtual void on_path_sent() = 0;
    // The body cannot be rewritten.
    virtual void on_path_failed(const Error& error) = 0;

   protected:
    ~Observer() = default;
  };

  virtual ~BodyPath() = default;

  // Takes a piece of the body; what cannot go on yet is kept.
  virtual void write(std::string_view bytes) = 0;
  // The pieces of one read have all been written: sends what was gathered of them.
  virtual void flush() = 0;
  // To be called when the client's stream says so.
  virtual void on_client_drained() = 0;
  // The body is complete. on_path_sent() follows, at once or after on_client_drained().
  virtual void finish() = 0;
};

}  // namespace streamgate
