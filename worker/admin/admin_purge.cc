#include "worker/admin/admin_purge.h"

#include <string>
#include <utility>

#include "worker/explain/explainer.h"

namespace streamgate {
namespace {

Error bad_purge(std::string detail) {
  return Error::for_client(Reason::bad_request, std::move(detail));
}

Result<PurgeOrder> order_for(std::string_view text, PurgeOrder::Reach reach,
                             std::string_view public_url) {
  auto request = parse_explained(text, {}, public_url);
  if (!request) return std::move(request).error();
  PurgeOrder order{request->upstream.to_string(), reach};
  if (order.url.size() > kMaxPurgedUrl) return bad_purge("the URL is too long");
  return order;
}

}  // namespace

Result<PurgeOrder> parse_purge(std::string_view target, std::string_view public_url) {
  Result<PurgeOrder> order = bad_purge("there is neither a url nor a prefix");
  int found = 0;
  std::string_view query = target.substr(std::min(target.find('?'), target.size()));
  while (!query.empty()) {
    query.remove_prefix(1);  // the ? or &
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(pair.size());
    const size_t equals = std::min(pair.find('='), pair.size());
    const std::string_view name = pair.substr(0, equals);
    if (name != "url" && name != "prefix") continue;
    ++found;
    const std::string text = percent_decode(pair.substr(std::min(equals + 1, pair.size())));
    const auto reach = name == "url" ? PurgeOrder::Reach::url : PurgeOrder::Reach::prefix;
    order = order_for(text, reach, public_url);
  }
  if (found > 1) return bad_purge("there is more than one url or prefix");
  return order;
}

// One order. Ends when it has answered, or when the client has left.
class AdminPurge::Job final : public Retirable,
                              private Purges::Observer,
                              private ClientStream::Observer {
 public:
  Job(AdminPurge& owner, ClientGate& gate) : owner_(owner), gate_(gate) {
    gate_.stream().set_observer(*this);
  }

  void start(PurgeOrder order) { owner_.cache_.purges().order(std::move(order), *this); }

  Jobs::iterator self;

 private:
  void on_purged(const PurgeOutcome& outcome) override {
    end();
    const bool is_complete = outcome.silent == 0;
    const std::string purged = "\"purged\":" + std::to_string(outcome.dropped);
    const std::string body =
        is_complete
            ? "{" + purged + "}\n"
            : R"({"error":"purge_incomplete","message":"Not all workers have answered.",)" +
                  purged + ",\"silent\":" + std::to_string(outcome.silent) + ",\"status\":503}\n";
    OwnResponse response;
    response.status = is_complete ? 200 : 503;
    response.content_type = "application/json";
    response.body = body;
    if (!is_complete) response.error_token = "purge_incomplete";
    owner_.send_(gate_, response);
  }

  void on_client_drained() override {}

  // The purge continues without it.
  void on_client_gone(Reason /*reason*/) override {
    owner_.cache_.purges().forget(*this);
    end();
  }

  void end() {
    std::unique_ptr<Job> job = std::move(*self);
    owner_.jobs_.erase(self);
    owner_.reaper_.retire(std::move(job));
  }

  AdminPurge& owner_;
  ClientGate& gate_;
};

AdminPurge::AdminPurge(Cache& cache, Reaper& reaper, Send send)
    : cache_(cache), reaper_(reaper), send_(send) {}

AdminPurge::~AdminPurge() = default;

void AdminPurge::start(ClientGate& gate, PurgeOrder order) {
  Job& job = *jobs_.emplace_front(std::make_unique<Job>(*this, gate));
  job.self = jobs_.begin();
  job.start(std::move(order));
}

}  // namespace streamgate
