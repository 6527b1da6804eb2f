#include "worker/exchange/forwarded_request.h"

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "common/ascii.h"
#include "worker/http/field_rules.h"

namespace streamgate {
namespace {

constexpr std::array<std::string_view, 6> kForwarded = {
    "Accept", "Accept-Language", "Range", "If-Range", "If-None-Match", "If-Modified-Since"};

class Forwarder {
 public:
  Forwarder(const RequestHead& client, FetchRequest& request)
      : client_(client), request_(request), may_be_named_(connection_names_fields(client.fields)) {}

  void forward(std::string_view name) {
    bool found = false;
    for (const HeaderField& field : client_.fields) {
      if (!ascii::iequals(field.name, name) || (found && !may_repeat(name))) continue;
      if (may_be_named_ && is_for_this_hop(client_.fields, name)) return;
      request_.forwarded.push_back({name, std::string(field.value)});
      found = true;
    }
  }
  void forward_by_policy(std::string_view name, const HeaderPolicy& policy) {
    if (policy.kind == HeaderPolicy::Kind::client) forward(name);
  }

 private:
  const RequestHead& client_;
  FetchRequest& request_;
  const bool may_be_named_;
};

}  // namespace

FetchRequest make_fetch_request(HttpUrl url, const LinkContext& link, const RequestHead& client,
                                const UpstreamConfig& config) {
  FetchRequest request{client.method, std::move(url), link.referer, link.headers};
  Forwarder forwarder(client, request);
  for (const std::string_view name : kForwarded) forwarder.forward(name);
  forwarder.forward_by_policy("User-Agent", config.user_agent);
  forwarder.forward_by_policy("Referer", config.referer);
  forwarder.forward_by_policy("Origin", config.origin);
  return request;
}

}  // namespace streamgate
