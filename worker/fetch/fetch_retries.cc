// The part of Fetch that repeats a request in another form after an answer that refuses it.
#include <algorithm>
#include <string>
#include <utility>

#include "worker/fetch/fetch.h"

namespace streamgate {
namespace {

// Statuses by which servers refuse a HEAD although they answer a GET: 405 and 501 say so, but some
// send 400, and a URL that is signed for GET gives 403.
bool refuses_head(int status) {
  return status == 400 || status == 403 || status == 405 || status == 501;
}

// The length of the whole body: of the `bytes 0-0/5` of a 206 or the `bytes */0` of a 416.
std::optional<uint64_t> whole_length(const ResponseHead& head) {
  const std::string_view range = field_or_empty(head.fields, "Content-Range");
  const size_t slash = range.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  return ascii::parse_uint(range.substr(slash + 1));
}

// For one URL of the link and its redirects. A server may find every nonce too old.
constexpr unsigned kMaxChallenges = 4;

using Headers = std::vector<std::pair<std::string, std::string>>;

const std::string* find_header(const Headers& headers, std::string_view name) {
  const auto found = std::find_if(headers.begin(), headers.end(), [&](const auto& header) {
    return ascii::iequals(header.first, name);
  });
  return found == headers.end() ? nullptr : &found->second;
}

}  // namespace

// True if the request is repeated in another form.
bool Fetch::retry_refused(const ResponseHead& head) {
  if (head.status == 408 && reused_connection_) {
    retry_after_idle_timeout();
    return true;
  }
  if (head.status == 401 && answer_challenge(head)) return true;
  const bool may_be_referer = head.status == 403 && send_referer_ && !is_as_player();
  if (may_be_referer && may_send_referer_or_origin()) {
    retry_without_referer();
    return true;
  }
  if (!refuses_head(head.status) || !may_ask_instead_of_head()) return false;
  ask_instead_of_head();
  return true;
}

// --- 408: a connection that was idle ---

// The server gave up waiting for a request before ours arrived (RFC 9110 15.5.9).
void Fetch::retry_after_idle_timeout() {
  release(UpstreamPool::Reuse::no);
  connect(UpstreamPool::Freshness::fresh_only);
}

// --- 401: Digest ---

// Repeats the request with the credentials that were sent as Basic. A server that finds the nonce
// of the first answer too old may send another one.
bool Fetch::answer_challenge(const ResponseHead& head) {
  if (challenges_ == kMaxChallenges) return false;
  auto challenge = find_digest_challenge(head.fields);
  if (!challenge) return false;
  if (digest_ && (!challenge->is_stale || challenge->nonce == digest_->nonce())) return false;
  auto credentials = basic_credentials(sent_authorization());
  if (!credentials) return false;
  take_cookies();
  release(UpstreamPool::Reuse::no);
  ++challenges_;
  digest_ = std::make_unique<DigestSession>(*std::move(challenge), *std::move(credentials));
  connect(UpstreamPool::Freshness::reuse_allowed);
  return true;
}

// The Authorization that requests of this hop have without Digest.
std::string_view Fetch::sent_authorization() const {
  constexpr std::string_view kName = "Authorization";
  if (!authorization_.empty()) return authorization_;
  if (const auto* own = find_header(request_.headers, kName)) {
    return left_origin_ ? std::string_view() : *own;
  }
  const auto* configured = find_header(settings_->headers, kName);
  return configured != nullptr ? std::string_view(*configured) : std::string_view();
}

std::string Fetch::next_digest() {
  const bool is_head = request_.method == Method::head && !asks_first_byte_;
  const std::string target = settings_->sends_absolute_form(request_.url)
                                 ? request_.url.to_string()
                                 : request_.url.path_and_query;
  return digest_->authorization(is_head ? "HEAD" : "GET", target);
}

// --- 403: without Referer and Origin ---

// Whether the requests of this fetch may have a Referer or an Origin.
bool Fetch::may_send_referer_or_origin() const {
  const UpstreamConfig& config = settings_->config;
  return request_.referer || config.referer.kind != HeaderPolicy::Kind::none ||
         config.origin.kind != HeaderPolicy::Kind::none;
}

void Fetch::retry_without_referer() {
  take_cookies();
  release(UpstreamPool::Reuse::no);
  send_referer_ = false;
  connect(UpstreamPool::Freshness::reuse_allowed);
}

// --- upstreams for players only ---

bool may_choose_identity(const FetchRequest& request, const HostSettings& settings) {
  constexpr std::string_view kName = "User-Agent";
  return request.method == Method::get &&
         settings.config.user_agent.kind == HeaderPolicy::Kind::browser &&
         find_header(request.headers, kName) == nullptr &&
         find_header(settings.headers, kName) == nullptr;
}

bool Fetch::may_change_identity() const {
  return !has_changed_identity_ && !live_ && may_choose_identity(request_, *settings_);
}

// From the first URL on: a redirect may have led browsers to a page.
void Fetch::change_identity(std::string_view player_agent) {
  has_changed_identity_ = true;
  request_.player_agent = is_as_player() ? std::string_view() : player_agent;
  if (failover_) return ask(failover_->current());
  ask(first_url_ ? *first_url_ : UpstreamUrl{request_.url, authorization_});
}

// --- HEAD ---

bool Fetch::may_ask_instead_of_head() const {
  return request_.method == Method::head && !asks_first_byte_;
}

void Fetch::ask_instead_of_head() {
  if (head_ != nullptr) take_cookies();
  release(UpstreamPool::Reuse::no);
  asks_first_byte_ = true;
  send_referer_ = true;
  connect(UpstreamPool::Freshness::reuse_allowed);
}

// Makes the answer to a HEAD from the head of the answer to a GET, whose body is not read.
void Fetch::answer_head(const ResponseHead& head) {
  head_of_whole_ = std::make_unique<ResponseHead>(head);
  ResponseHead& whole = *head_of_whole_;
  whole.framing = Framing::none;
  const auto length = whole_length(head);
  const bool is_empty = head.status == 416 && length == uint64_t{0};
  if (head.status == 206 || is_empty) {
    whole.status = 200;
    whole.declared_length = length;
    std::erase_if(whole.fields, [](const HeaderField& field) {
      return ascii::iequals(field.name, "Content-Range");
    });
  }
  enter(Step::read_body);
  observer_->on_head(whole);
  if (step_ == Step::read_body) on_end();
}

}  // namespace streamgate
