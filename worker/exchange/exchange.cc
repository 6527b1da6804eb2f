#include "worker/exchange/exchange.h"

#include <ctime>
#include <utility>

#include "common/check.h"
#include "common/histogram.h"
#include "common/log.h"
#include "worker/client/client_address.h"
#include "worker/client/error_detail.h"
#include "worker/documents/live_media.h"
#include "worker/exchange/forwarded_request.h"
#include "worker/exchange/playlist_name.h"
#include "worker/exchange/relayed_head.h"
#include "worker/exchange/relayed_type.h"
#include "worker/http/accept_encoding.h"
#include "worker/http/fetch_metadata.h"
#include "worker/http/media_type.h"
#include "worker/http/own_response.h"
#include "worker/links/logged_link.h"

namespace streamgate {
namespace {

std::string_view token_of(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::options:
      return "OPTIONS";
    case Method::post:
      return "POST";
  }
  return "?";
}

// For the operator.
std::string_view kind_of(const ClientFraming& framing, bool is_rewritten) {
  if (is_rewritten) return "playlist";
  const bool has_end =
      framing.kind == ClientFraming::Kind::length || framing.kind == ClientFraming::Kind::none;
  return has_end ? "file" : "live";
}

// Whether a 206 holds the whole document: `bytes 0-99/100`.
bool is_complete_range(const ResponseHead& head) {
  const auto range = parse_content_range(field_or_empty(head.fields, "Content-Range"));
  return range && range->first == 0 && range->last + 1 == range->whole;
}

}  // namespace

Exchange::Exchange(ExchangeEnvironment& environment, ClientGate& gate)
    : environment_(environment),
      gate_(&gate),
      client_head_(gate.stream().head()),
      method_(client_head_.method),
      route_(logged_route(client_head_.target)),
      started_ms_(environment.wheel.now_ms()),
      note_(gate.stream().client_text(), gate.stream().id().text(), token_of(method_)) {
  gate.stream().set_observer(*this);
  count(environment_.slot.counters, Counter::exchanges_started);
  count(environment_.slot.exchanges_now);
}

Exchange::~Exchange() { CHECK(step_ == Step::finished); }

void Exchange::start() {
  const RequestScope scope(&note_);
  if (method_ == Method::options) return answer_options();
  switch (route_of(client_head_.target)) {
    case Route::stream:
      return admit();
    case Route::health:
      return answer_health();
    case Route::ready:
      return answer_ready();
    case Route::none:
      return answer_page();
  }
}

// --- admit ---

void Exchange::admit() {
  if (would_run_answer(client_head_.fields)) return fail({Reason::script_forbidden, {}});
  if (auto allowed = check_limits(); !allowed) return refuse(allowed.error());
  request_.emplace();
  if (auto parsed = parse_stream_request(client_head_.target, *request_); !parsed) {
    request_.reset();
    return fail(parsed.error());
  }
  if (auto allowed = check_access(); !allowed) return refuse(allowed.error());
  const bool is_path_link = !request_->path_link_route.empty();
  if (access_ && is_path_link && !request_->token.empty()) return redirect_to_granted_link();
  if (auto counted = count_stream(); !counted) return refuse(counted.error());
  // on_bandwidth() continues.
  if (place_ && place_->meter().must_wait()) return;
  begin_fetch();
}

void Exchange::begin_fetch() {
  enter(Step::fetch);
  const bool may_continue = may_reconnect();
  FetchRequest wanted =
      make_fetch_request(std::move(request_->upstream), request_->link, client_head_,
                         environment_.config.upstream, access_ ? &access_->key->hosts : nullptr);
  wanted.alternatives = std::move(request_->alternatives);
  // A token or a grant need not cover a second URL.
  if (!access_) wanted.before_bar = std::move(request_->before_bar);
  wanted.may_reconnect = may_continue;
  // An asset list may take a minute (RFC 8216bis D.5).
  wanted.is_blocking = request_->is_blocking || request_->link.kind == LinkKind::assets;
  if (access_) {
    wanted.allow = &access_->key->allow;
    wanted.hosts = environment_.key_hosts.of(*access_->key);
  }
  fetch_.emplace(environment_.fetches, environment_.cache, std::move(wanted),
                 static_cast<Fetch::Observer&>(*this));
  note_target();
  FirstClient client{gate_->stream().client_text(), gate_->stream().id().text()};
  if (environment_.cache != nullptr) client.player_agent = player_agent();
  fetch_->start(client);
}

Result<void> Exchange::check_access() {
  if (environment_.access.restricts_parameters()) {
    if (auto allowed = environment_.access.check_parameters(*request_); !allowed) return allowed;
  }
  if (!environment_.access.is_required()) return {};
  const SocketAddress& client = gate_->stream().client();
  auto access =
      environment_.access.check(*request_,
                                {field_or_empty(client_head_.fields, "Authorization"),
                                 client.is_ip() ? std::optional(client.ip()) : std::nullopt},
                                ::time(nullptr));
  if (!access) return std::move(access).error();
  access_ = std::make_unique<Access>(std::move(*access));
  return {};
}

void Exchange::note_target() {
  std::string& url = environment_.url_scratch;
  std::string& redacted = environment_.redacted_scratch;
  url.clear();
  redacted.clear();
  fetch_->url().append_to(url);
  log::append_redacted(url, redacted);
  note_.set_target(redacted);
}

// --- fetch ---

void Exchange::on_next_url() { note_target(); }

void Exchange::on_head(const ResponseHead& head) {
  head_ = &head;
  own_head_.reset();
  if (environment_.access_log.has(AccessField::first_byte_ms)) {
    first_byte_ms_ = environment_.wheel.now_ms() - started_ms_;
  }
  const std::string_view type = field_or_empty(head.fields, "Content-Type");
  const std::string_view path = fetch_->url().path();
  const bool successful = head.status >= 200 && head.status < 300;
  if (head.framing == Framing::none) {
    const DocumentKind expected = expected_kind();
    const DocumentKind kind = expected != DocumentKind::none ? expected : claimed_kind(type, path);
    const bool has_own_type = kind != DocumentKind::none && kind != DocumentKind::hls;
    if (has_own_type) document_type_ = media_type_of(kind);
    const bool is_document = successful && method_ == Method::head && kind != DocumentKind::none;
    return send_relayed_head({ClientFraming::Kind::none, 0}, is_document);
  }
  if (head.status == 403 && retry_with_other_identity()) return;
  if (!successful) {
    begin_relay();
    // If this is the answer to a GET, its body may be long in coming.
    return method_ == Method::head ? finish({}, {}, End::complete) : void();
  }
  sniffer_.emplace(type, path, parse_content_codings(head.fields), media_to_sniff(head));
  if (request_->link.kind != LinkKind::any) sniffer_->expect(expected_kind());
}

void Exchange::on_body(std::string_view bytes) {
  if (path_ == nullptr) {
    const auto kind = sniffer_->add(bytes);
    if (!kind || !decide(*kind, bytes)) return;
  }
  path_->write(bytes);
}

void Exchange::on_read_done() {
  if (path_ != nullptr) path_->flush();
  keep_head();
}

void Exchange::on_end() {
  if (sniffer_ && !decide(sniffer_->end(), {})) return;
  if (fetch_->continues_after_end()) return;
  if (path_ == nullptr) return finish({}, {}, End::complete);
  path_->finish();
  keep_head();
}

void Exchange::on_next_body() { std::get<BodyRelay>(path_storage_).begin_next_body(); }

void Exchange::on_failed(const Error& error) {
  if (client_status_ == 0 || path_ == nullptr) return fail(error);
  cut_by_ = error;
  path_->cut();
}

// The address of a trusted proxy is that of many clients, so its names do not count against one
// limit.
std::optional<IpAddress> Exchange::client_of_names() const {
  const SocketAddress& client = gate_->stream().client();
  if (is_trusted(client, environment_.config.trusted_proxies)) return std::nullopt;
  return client.ip();
}

// Chooses the path and writes the bytes that the sniffer held back. False if the body is requested
// again without a range, or if the exchange has ended. `next` follows the bytes that were held
// back.
bool Exchange::decide(DocumentKind kind, std::string_view next) {
  if (method_ == Method::head) {
    answer_head(kind);
    return false;
  }
  if (kind != DocumentKind::none) {
    if (head_->status == 206 && fetch_->asked_for_range() && !is_complete_range(*head_)) {
      sniffer_.reset();
      fetch_->retry_without_range();
      return false;
    }
    if (!sniffer_->is_readable()) {
      fail(Error::for_client(Reason::unsupported_coding,
                             std::string(field_or_empty(head_->fields, "Content-Encoding"))));
      return false;
    }
    begin_document(kind);
  } else {
    note_media_type();
    if (needs_own_link()) {
      redirect_to_own_link();
      return false;
    }
    if (sniffer_->is_web_page() && retry_with_other_identity()) return false;
    is_not_a_playlist_ =
        sniffer_->is_web_page() && names_playlist(client_head_.target, fetch_->url().path());
    begin_relay();
    if (fetch_->may_reconnect()) begin_live(sniffer_->held().empty() ? next : sniffer_->held());
  }
  if (!sniffer_->is_web_page()) fetch_->keep_identity();
  if (!sniffer_->held().empty()) path_->write(sniffer_->held());
  sniffer_.reset();
  return step_ != Step::finished;
}

void Exchange::note_media_type() {
  media_type_ = sniffer_->is_unnamed_data()
                    ? type_of_names(fetch_->url().path(), client_head_.target)
                    : sniffer_->media_type();
}

void Exchange::begin_relay() {
  const bool is_chunked = head_->framing == Framing::chunked;
  auto& relay = path_storage_.emplace<BodyRelay>(
      gate_->stream(),
      BodyRelay::Tools{environment_.pipes, environment_.socket_memory,
                       place_ && place_->meter().has_limit() ? &place_->meter() : nullptr},
      static_cast<BodyPath::Observer&>(*this),
      is_chunked ? BodyRelay::Pieces::gathered : BodyRelay::Pieces::as_they_come);
  path_ = &relay;
  fetch_->relay_into(relay);
  send_relayed_head(head_->framing == Framing::length
                        ? ClientFraming{ClientFraming::Kind::length, head_->content_length}
                        : framing_for_unknown_length(),
                    false);
}

bool Exchange::may_reconnect() const {
  HostTable* const of_key = access_ ? environment_.key_hosts.of(*access_->key) : nullptr;
  HostTable& hosts = of_key != nullptr ? *of_key : environment_.fetches.hosts;
  const Reconnect which = hosts.of(request_->upstream).config.reconnect;
  if (which == Reconnect::links && !request_->is_live) return false;
  return which != Reconnect::never;
}

// A live body that ends is continued with the body of another answer.
void Exchange::begin_live(std::string_view first_bytes) {
  if (head_->status != 200 || head_->framing == Framing::length) return;
  if (find_field(head_->fields, "Content-Encoding")) return;
  // The client counts the bytes between two titles, and another body would start its count again.
  if (find_field(head_->fields, "icy-metaint")) return;
  const auto type = extract_media_type(head_->fields).essence;
  const LiveMedia media = live_media_of(type, first_bytes);
  if (media == LiveMedia::none) return;
  if (media == LiveMedia::packets) std::get<BodyRelay>(path_storage_).cut_packets();
  fetch_->reconnect_at_end();
}

// --- relay_body ---

void Exchange::send_relayed_head(const ClientFraming& framing, bool is_rewritten,
                                 ContentCoding coding) {
  enter(Step::relay_body);
  observe(environment_.slot.counters, Histogram::first_byte,
          environment_.wheel.now_ms() - started_ms_);
  kind_ = kind_of(framing, is_rewritten);
  RelayedResponse response{*head_, fetch_->url().path()};
  response.is_rewritten = is_rewritten;
  response.coding = coding;
  response.varies_by_coding = is_rewritten && environment_.config.hls.compress_from > 0;
  response.document_type = document_type_;
  response.framing = framing;
  response.keep_alive = gate_->may_keep_alive() && framing.kind != ClientFraming::Kind::until_close;
  response.client_minor_version = client_head_.minor_version;
  response.media_type = media_type_;
  response.client_fields = &client_head_.fields;
  response.client_target = client_head_.target;
  response.is_private = access_ && access_->grant.empty() && request_->token.empty();
  response.cache_outcome = name_of(fetch_->cache_outcome());
  response.is_whole_part =
      head_->status == 206 && !fetch_->asked_for_range() && is_complete_range(*head_);
  client_status_ = status_for_client(response);
  const ClientFraming sent =
      method_ == Method::head ? ClientFraming{ClientFraming::Kind::none, 0} : framing;
  gate_->stream().send_head(write_relayed_head(response, environment_.config.cors), sent,
                            response.keep_alive);
}

ClientFraming Exchange::framing_for_unknown_length() const {
  // An HTTP/1.0 client cannot read chunks, so its body ends with the connection.
  if (client_head_.minor_version == 0) return {ClientFraming::Kind::until_close, 0};
  return {ClientFraming::Kind::chunked, 0};
}

void Exchange::on_path_head(const ClientFraming& framing, ContentCoding coding) {
  send_relayed_head(framing, true, coding);
}

bool Exchange::may_compress() const { return may_be_compressed(client_head_.fields); }

void Exchange::on_path_flow(BodyPath::Flow flow) {
  switch (flow) {
    case BodyPath::Flow::open:
      return fetch_->go_on();
    case BodyPath::Flow::full:
      return fetch_->pause();
    case BodyPath::Flow::gone:
      return finish(Reason::client_gone, {}, End::broken);
  }
}

void Exchange::on_path_sent() {
  if (cut_by_) return fail(*cut_by_);
  finish(is_not_a_playlist_ ? std::optional(Reason::not_a_playlist) : std::nullopt, {},
         End::complete);
}

void Exchange::on_path_failed(const Error& error) { fail(error); }

void Exchange::on_client_drained() {
  const RequestScope scope(&note_);
  if (path_ != nullptr) path_->on_client_drained();
}

void Exchange::on_client_gone(Reason reason) {
  const RequestScope scope(&note_);
  finish(reason, {}, End::client_gone);
}

// --- finished ---

// Every failure ends here.
void Exchange::fail(const Error& error) {
  if (client_status_ != 0) {  // the head has been sent, so the status cannot change
    return finish(error.reason, error.detail, End::cut);
  }
  // An HTTP/1.0 client keeps a connection only after `Connection: keep-alive`, which error answers
  // do not have.
  const bool keep_alive = gate_->may_keep_alive() && client_head_.minor_version >= 1;
  const Error shown = error_for(
      audience_of(environment_.config.errors, gate_->peer(), &client_head_.fields), error);
  const ErrorResponse response{.error = shown,
                               .id = gate_->stream().id().text(),
                               .head_only = method_ == Method::head,
                               .keep_alive = keep_alive};
  send_own(status_for(error.reason),
           write_error_response(response, cors_for(environment_.config.cors, client_head_.fields)),
           keep_alive);
  finish(error.reason, error.detail, End::complete);
}

void Exchange::finish(std::optional<Reason> failure, std::string_view detail, End end) {
  CHECK(step_ != Step::finished);
  enter(Step::finished);
  if (fetch_) fetch_->stop();
  if (refusal_) refusal_->turn.cancel();
  head_ = nullptr;
  ClientStream& client = gate_->stream();
  if (end == End::broken) client.count_undelivered();
  body_bytes_ += client.body_bytes_sent();
  // Before the client's side ends: the request head belongs to the gate.
  if (place_) give_up_place();
  const int64_t duration_ms = environment_.wheel.now_ms() - started_ms_;
  write_access_line(failure, detail, duration_ms);
  count_end(failure, duration_ms);
  gate_ = nullptr;
  if (end == End::complete) client.finish();
  if (end == End::cut) client.cut();
  if (end == End::broken) client.abort();
  environment_.reaper.retire(environment_.exchanges.remove(*this));
}

void Exchange::count_end(std::optional<Reason> failure, int64_t duration_ms) {
  Counters& counters = environment_.slot.counters;
  if (fetch_) {
    observe(counters, Histogram::exchange, duration_ms);
    count_failure_of_host(failure);
    count_cache_outcome();
  }
  if (stream_row_ != LiveStreams::kNoRow) environment_.streams.remove(stream_row_);
  count_sent(body_bytes_);
  if (failure) {
    count(counters, Counter::exchanges_failed);
    count(counters, failures_of(*failure));
  }
  if (!refusal_) count_down(environment_.slot.exchanges_now);
}

void Exchange::write_access_line(std::optional<Reason> failure, std::string_view detail,
                                 int64_t duration_ms) {
  AccessRecord record{gate_->stream().client_text()};
  record.head = &client_head_;
  record.id = gate_->stream().id().text();
  record.method = token_of(method_);
  record.route = route_;
  record.status = client_status_;
  record.reason = failure ? token_of(*failure) : "ok";
  record.level = failure ? access_level(*failure) : LogLevel::info;
  record.detail = detail;
  record.body_bytes = body_bytes_;
  record.duration_ms = duration_ms;
  record.playlist = is_rewritten_;
  if (fetch_) {
    if (!fetch_->is_redirected()) record.redacted_upstream = note_.whole_target();
    if (record.redacted_upstream.empty()) {
      std::string& upstream = environment_.url_scratch;
      upstream.clear();
      fetch_->url().append_to(upstream);
      record.upstream = upstream;
    }
    record.upstream_host = fetch_->url().host;
    record.first_byte_ms = first_byte_ms_;
    record.upstream_status = fetch_->upstream_status();
    record.attempts = fetch_->attempts();
    record.resumed = fetch_->resumed();
    record.discontinuities = fetch_->discontinuities();
    record.reused_connection = fetch_->reused_connection();
    record.cache_outcome = name_of(fetch_->cache_outcome());
  }
  environment_.access_log.write(record);
}

}  // namespace streamgate
