// POST /purge on the admin listener: drops stored answers in all workers (worker/cache/purges.h).
//
//   /purge?url=<URL>       the answers of this URL
//   /purge?prefix=<URL>    those of all URLs that begin with it
//
// The URL is one of an upstream, percent-encoded, in any spelling that the url parameter of a link
// may have, or a link to the proxy. The answer is `{"purged":<number>}`.
//
// One per worker.
#pragma once

#include <list>
#include <memory>
#include <string_view>

#include "common/result.h"
#include "worker/cache/cache.h"
#include "worker/client/gate.h"
#include "worker/http/own_response.h"
#include "worker/loop/reaper.h"

namespace streamgate {

// From the target of the request. `public_url`: Config's. bad_request if there is not exactly one
// of the parameters, or no URL in it.
Result<PurgeOrder> parse_purge(std::string_view target, std::string_view public_url);

class AdminPurge {
 public:
  // Sends an answer, in the way of the admin pages. The views are valid during the call only.
  using Send = void (*)(ClientGate& gate, OwnResponse response);

  AdminPurge(Cache& cache, Reaper& reaper, Send send);
  ~AdminPurge();
  AdminPurge(const AdminPurge&) = delete;
  AdminPurge& operator=(const AdminPurge&) = delete;

  // Answers when all workers have done it, unless the client leaves before.
  void start(ClientGate& gate, PurgeOrder order);

 private:
  class Job;
  using Jobs = std::list<std::unique_ptr<Job>>;

  Cache& cache_;
  Reaper& reaper_;
  const Send send_;
  Jobs jobs_;
};

}  // namespace streamgate
