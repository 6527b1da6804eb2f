// The path of one response body from its fetch to the client. There are two: BodyRelay relays the
// body unchanged, DocumentPath rewrites it. The exchange chooses one when it knows the kind of the
// body.
#pragma once

#include <string_view>

#include "common/result.h"
#include "worker/client/stream.h"
#include "worker/http/content_coding.h"
#include "worker/http/message.h"

namespace streamgate {

class BodyPath {
 public:
  using Flow = ClientStream::Flow;

  // Implemented by the exchange. Each call may end the exchange. The path is still alive when the
  // call returns, but must not do anything more.
  class Observer {
   public:
    // Called once by DocumentPath: send the client's head before any byte of the body. The head of
    // a BodyRelay has been sent before.
    virtual void on_path_head(const ClientFraming& framing, ContentCoding coding) = 0;
    // Asked by DocumentPath if the document is long enough: the client accepts gzip.
    virtual bool may_compress() const = 0;
    // full: the client takes no more bytes, so the fetch must pause. open: the client takes bytes
    // again. gone: the client has left.
    virtual void on_path_flow(Flow flow) = 0;
    // After finish() or cut(): the client's stream has every byte.
    virtual void on_path_sent() = 0;
    // The body cannot be rewritten.
    virtual void on_path_failed(const Error& error) = 0;

   protected:
    ~Observer() = default;
  };

  virtual ~BodyPath() = default;

  // Takes a piece of the body. Bytes that cannot be sent yet are kept.
  virtual void write(std::string_view bytes) = 0;
  // Call it after the last piece of each read. Sends the gathered bytes.
  virtual void flush() = 0;
  // Call it from ClientStream::Observer::on_client_drained().
  virtual void on_client_drained() = 0;
  // The body is complete. on_path_sent() follows, at once or after on_client_drained().
  virtual void finish() = 0;
  // The body ends too early: no more bytes will be written. Bytes that arrived before are still
  // sent; on_path_sent() follows as after finish(). The client's head has been sent.
  virtual void cut() = 0;
};

}  // namespace streamgate
