#include "worker/explain/explainer.h"

#include <algorithm>

#include "worker/documents/document_body.h"
#include "worker/documents/utf16.h"
#include "worker/exchange/forwarded_request.h"
#include "worker/explain/manifest_facts.h"
#include "worker/explain/playlist_facts.h"
#include "worker/explain/verdict.h"
#include "worker/http/content_coding.h"
#include "worker/http/decoder.h"
#include "worker/links/pasted_link.h"

namespace streamgate {
namespace {

constexpr size_t kMaxBodyBytes = size_t{1024} * 1024;
constexpr size_t kMaxPlainBytes = size_t{4} * 1024 * 1024;
constexpr size_t kMaxRewrittenBytes = size_t{16} * 1024 * 1024;
constexpr size_t kMaxUrlBytes = 2000;
constexpr size_t kMaxHeaders = 40;
constexpr size_t kMaxHeaderBytes = 300;
constexpr size_t kMaxTypeBytes = 100;

// Masks the values of cookies, and in other values the secrets of URLs.
std::string shown_value(const HeaderField& field) {
  if (ascii::iequals(field.name, "Content-Type")) {
    return printable(std::string(field.value), kMaxHeaderBytes);
  }
  if (!ascii::iequals(field.name, "Set-Cookie")) return shown(field.value, kMaxHeaderBytes);
  return shown(field.value.substr(0, field.value.find('=')), kMaxHeaderBytes) + "=*";
}

struct PlainBody {
  std::string bytes;
  Result<void> damage = {};  // an error: `bytes` are those before it
  Result<void> end = {};     // an error: it is missing
  bool is_cut = false;       // there are more bytes
};

// Without its content coding.
PlainBody decoded(std::string_view body, const ContentCodings& codings) {
  if (codings.empty()) return {std::string(body)};
  PlainBody out;
  const auto decoder = make_decoder(codings);
  while (!body.empty() || decoder->may_have_more()) {
    out.is_cut = out.bytes.size() >= kMaxPlainBytes;
    if (out.is_cut) return out;
    const auto piece = decoder->next(body);
    if (!piece) {
      out.damage = piece.error();
      return out;
    }
    out.bytes += *piece;
  }
  out.end = decoder->finish();
  return out;
}

// The text of a document in UTF-8.
std::string in_utf8(std::string plain) {
  if (!may_be_utf16(plain)) return plain;
  std::string utf8;
  Utf16Decoder().decode(plain, utf8);
  return utf8;
}

enum class Extent { whole, part };

// Rewrites `text`; the rewritten text is in `body.output()`. The end of a part may be in the middle
// of a line or a tag, so only the end of a whole document can fail.
Result<Extent> rewrite(std::string_view text, Extent extent, DocumentBody& body) {
  while (!text.empty() || body.has_pending()) {
    const auto written = body.write(text, kMaxRewrittenBytes);
    if (!written) return written.error();
    text.remove_prefix(written->taken);
    if (body.output().size() >= kMaxRewrittenBytes) return Extent::part;
  }
  const auto ended = body.finish();
  if (!ended && extent == Extent::whole) return ended.error();
  return extent;
}

}  // namespace

Result<StreamRequest> parse_explained(
    std::string_view text, const std::vector<std::pair<std::string, std::string>>& headers,
    std::string_view public_url) {
  std::string target(target_of_pasted_link(text, public_url));
  if (target.empty()) {
    target = "/stream?url=";
    percent_encode(text, target);
  }
  auto request = parse_stream_request(target);
  if (!request) return request;
  for (const auto& [name, value] : headers) {
    std::string encoded;
    percent_encode(value, encoded);
    const bool is_referer = ascii::iequals(name, "Referer") && !request->link.referer;
    auto taken = take_link_parameter(is_referer ? "referer" : "h_" + name, encoded, request->link);
    if (!taken) return std::move(taken).error();
  }
  return request;
}

Report report_on_refused(std::string_view text, const Error& error) {
  Report report;
  report.url = shown(text, kMaxUrlBytes);
  conclude_failure(error, report);
  return report;
}

Explainer::Explainer(FetchEnvironment& environment, const Config& config, ExplainRequest request,
                     Observer& observer)
    : environment_(environment),
      config_(config),
      link_(std::move(request.link)),
      limit_(request.limit),
      observer_(observer),
      deadline_(environment.wheel, this, call<&Explainer::on_limit>) {}

void Explainer::start() {
  started_ = step_began_ = Clock::now();
  report_.url = shown(link_.upstream.to_string(), kMaxUrlBytes);
  RequestHead client;
  client.fields = {{"Accept", "*/*"}};
  FetchRequest wanted = make_fetch_request(link_.upstream, link_.link, client, environment_.config);
  wanted.alternatives = link_.alternatives;
  wanted.before_bar = link_.before_bar;
  FetchTrace& trace = *this;
  wanted.trace = &trace;
  fetch_.emplace(environment_, std::move(wanted), static_cast<Fetch::Observer&>(*this));
  deadline_.arm(limit_);
  fetch_->start();
}

void Explainer::stop() {
  is_over_ = true;
  deadline_.cancel();
  if (fetch_) fetch_->stop();
}

// --- the trace ---

double Explainer::since(Clock::time_point mark) {
  return std::chrono::duration<double, std::milli>(Clock::now() - mark).count();
}

void Explainer::on_url(const HttpUrl& url) {
  url_ = url;
  report_.hops.emplace_back().url = shown(url.to_string(), kMaxUrlBytes);
  step_began_ = Clock::now();
}

void Explainer::on_addresses(const ResolvedName& name) {
  hop().resolve_ms = since(step_began_);
  hop().full_name = shown(name.full_name, kMaxUrlBytes);
  for (const IpAddress& ip : name.addresses) {
    ExplainedAddress entry{ip.to_string()};
    const auto allowed = environment_.guard.check_address(*url_, SocketAddress(ip, url_->port));
    entry.is_allowed = allowed.has_value();
    if (!allowed) entry.refusal = allowed.error().detail;
    hop().addresses.push_back(std::move(entry));
  }
  step_began_ = Clock::now();
}

// If this hop has an answer already, the next connection repeats the request for the same URL.
ExplainedHop& Explainer::hop_to_connect() {
  if (hop().status == 0) return hop();
  ExplainedHop repeated;
  repeated.url = hop().url;
  repeated.is_repeated = true;
  step_began_ = Clock::now();
  return report_.hops.emplace_back(std::move(repeated));
}

ExplainedAddress& Explainer::entry_of(const SocketAddress& address) {
  auto& known = hop_to_connect().addresses;
  const std::string text = address.is_ip() ? address.ip().to_string() : "(known to the proxy only)";
  const auto found = std::find_if(known.begin(), known.end(),
                                  [&](const auto& entry) { return entry.address == text; });
  if (found != known.end()) return *found;
  return known.emplace_back(ExplainedAddress{text, true});
}

void Explainer::on_connecting(const SocketAddress& address) { entry_of(address); }

void Explainer::on_address_failed(const SocketAddress& address, const Error& error) {
  entry_of(address).connect_error =
      error.client_detail.empty() ? error.detail : error.client_detail;
}

void Explainer::on_transport_open(const SocketAddress& address) {
  entry_of(address).is_connected = true;
  hop().connect_ms = since(step_began_);
  step_began_ = Clock::now();
}

void Explainer::on_handshake_ended(const TlsFacts& facts) {
  hop().tls_ms = since(step_began_);
  hop().tls = facts;
}

void Explainer::on_request() {
  hop_to_connect();
  step_began_ = Clock::now();
}

void Explainer::on_response(const ResponseHead& head) {
  hop().first_byte_ms = since(step_began_);
  hop().status = head.status;
  for (const HeaderField& field : head.fields) {
    if (hop().headers.size() == kMaxHeaders) break;
    hop().headers.emplace_back(shown(field.name, kMaxTypeBytes), shown_value(field));
  }
  hop().location = shown(field_or_empty(head.fields, "Location"), kMaxUrlBytes);
  step_began_ = Clock::now();
}

// --- the answer ---

void Explainer::on_head(const ResponseHead& head) {
  declared_type_ = field_or_empty(head.fields, "Content-Type");
  path_ = fetch_->url().path();
  report_.declared_type = printable(declared_type_, kMaxTypeBytes);
  report_.declared_length = head.declared_length;
  const bool is_successful = head.status >= 200 && head.status < 300;
  if (!is_successful || head.framing == Framing::none) return decide(DocumentKind::none);
  sniffer_.emplace(declared_type_, path_, parse_content_codings(head.fields),
                   BodySniffer::Media::wanted);
}

void Explainer::on_body(std::string_view bytes) {
  if (is_over_) return;
  if (body_.empty()) report_.body_start_ms = since(step_began_);
  bytes = bytes.substr(0, kMaxBodyBytes - body_.size());
  body_ += bytes;
  report_.body_bytes = body_.size();
  if (kind_ != DocumentKind::none) {
    if (body_.size() == kMaxBodyBytes) read_document();
    return;
  }
  if (const auto kind = sniffer_->add(bytes)) decide(*kind);
}

void Explainer::on_end() {
  if (is_over_) return;
  report_.is_body_complete = true;
  if (kind_ != DocumentKind::none) return read_document();
  decide(sniffer_ ? sniffer_->end() : DocumentKind::none);
  if (!is_over_) read_document();
}

void Explainer::on_failed(const Error& error) { fail(error); }

// A playlist is read to its end. The report on any other body ends here.
void Explainer::decide(DocumentKind kind) {
  kind_ = kind;
  if (kind != DocumentKind::none) {
    if (sniffer_->is_readable()) return;
    return fail(Error::for_client(Reason::unsupported_coding, "an unknown coding"));
  }
  const BodyKind named = name_body();
  if (report_.hops.back().status < 300) report_.kind = printable(named.name, kMaxTypeBytes);
  conclude_answer(named.can_play, named.advice, report_);
  finish();
}

// The bytes are those that a player sees behind the content coding.
BodyKind Explainer::name_body() const {
  const std::string_view sniffed = sniffer_ ? sniffer_->media_type() : std::string_view();
  if (!sniffer_) return body_kind_of(sniffed, declared_type_, body_);
  const PlainBody plain = decoded(body_, sniffer_->codings());
  if (!plain.damage && plain.bytes.empty()) return damaged_body();
  return body_kind_of(sniffed, declared_type_, plain.bytes);
}

void Explainer::read_document() {
  PlainBody plain = decoded(body_, sniffer_->codings());
  if (!plain.damage) return fail(plain.damage.error());
  if (report_.is_body_complete && !plain.end) return fail(plain.end.error());
  const bool is_part = !report_.is_body_complete || plain.is_cut;
  const std::string text = in_utf8(std::move(plain.bytes));
  DocumentBody body;
  fill_in(body.setting());
  body.begin(kind_, {});
  const auto rewritten = rewrite(text, is_part ? Extent::part : Extent::whole, body);
  report_.is_partial = is_part || (rewritten && *rewritten == Extent::part);
  if (kind_ == DocumentKind::mpd) {
    if (!rewritten) return fail(rewritten.error());
    report_.kind = "DASH manifest";
    report_.manifest = manifest_facts(text, body.output().text());
    conclude_answer(true, {}, report_);
    return finish();
  }
  if (kind_ == DocumentKind::pls) {
    report_.kind = "list of stations (PLS)";
    conclude_answer(true, {}, report_);
    return finish();
  }
  report_.playlist = playlist_facts(text, body.output().text(),
                                    {body.setting().max_height, body.setting().max_bandwidth});
  report_.playlist->lines_too_long = body.lines_too_long();
  if (!rewritten) report_.playlist->error = rewritten.error().detail;
  report_.kind = "HLS " + report_.playlist->type + " playlist";
  if (report_.playlist->type == "channel list") report_.kind = "channel list (M3U)";
  conclude_answer(true, {}, report_);
  finish();
}

void Explainer::fill_in(DocumentSetting& setting) const {
  fetch_->url().append_to(setting.base_url);
  setting.proxy_origin = config_.public_url;
  setting.route_path = link_.route_path;
  append_query_form(link_.link, ChildOrigin::same, setting.same_origin_parameters);
  append_query_form(link_.link, ChildOrigin::other, setting.other_origin_parameters);
  setting.child_urls = config_.hls.child_urls;
  setting.own_carry = fetch_->is_redirected() ? std::string() : link_.carry;
  const PlaylistOptions& options = link_.link.options;
  setting.segments_are_direct =
      options.segments.value_or(config_.hls.segments) == HlsConfig::Segments::direct;
  setting.max_height = lower_limit(options.max_height, config_.hls.max_height);
  setting.max_bandwidth = lower_limit(options.max_bandwidth, config_.hls.max_bandwidth);
  setting.variables = link_.link.variables;
  setting.list_attributes = config_.hls.list_attributes;
  setting.longest_line = config_.limits.playlist_line;
}

// --- the end ---

void Explainer::on_limit() {
  if (is_over_) return;
  if (kind_ != DocumentKind::none) return read_document();
  const std::string detail = "no answer within " + std::to_string(limit_.count()) + " ms";
  switch (fetch_->step()) {
    case Fetch::Step::resolve:
      return fail({Reason::dns_timeout, detail});
    case Fetch::Step::connect:
      return fail({Reason::connect_timeout, detail});
    case Fetch::Step::await_head:
      return fail({Reason::first_byte_timeout, detail});
    default:
      return fail({Reason::idle_timeout, detail});
  }
}

void Explainer::fail(const Error& error) {
  if (is_over_) return;
  conclude_failure(error, report_);
  finish();
}

void Explainer::finish() {
  stop();
  report_.total_ms = since(started_);
  observer_.on_explained(report_);
}

}  // namespace streamgate
