// The second half of Exchange: what happens to the body of the response that was accepted.
#include <algorithm>
#include <utility>

#include "common/ascii.h"
#include "common/check.h"
#include "worker/exchange/exchange.h"
#include "worker/exchange/relayed_head.h"
#include "worker/links/public_origin.h"

namespace streamgate {
namespace {

// A playlist is gathered up to here before it is sent: most fit, and leave with a Content-Length in
// one packet. Of a longer one, up to what the client's socket has room for: each send costs.
constexpr size_t kPlaylistFlushBytes = size_t{64} * 1024;
constexpr size_t kMostPlaylistFlushBytes = size_t{256} * 1024;

// Rewritten at a time. References grow severalfold, and what has been rewritten must go out.
constexpr size_t kPlaylistPieceBytes = size_t{4} * 1024;

bool is_trusted(const SocketAddress& peer, const std::vector<IpRange>& trusted) {
  if (!peer.is_ip()) return true;  // a Unix socket: whoever may open it
  for (const IpRange& range : trusted) {
    if (range.contains(peer.ip())) return true;
  }
  return false;
}

// `https://host/prefix` -> `/prefix`
std::string path_of(std::string_view origin) {
  const size_t authority = origin.find("://");
  if (authority == std::string_view::npos) return {};
  const size_t slash = origin.find('/', authority + 3);
  return slash == std::string_view::npos ? std::string() : std::string(origin.substr(slash));
}

}  // namespace

void Exchange::begin_body() {
  const std::string_view type = field_or_empty(head_->fields, "Content-Type");
  const ContentCoding coding =
      parse_content_coding(field_or_empty(head_->fields, "Content-Encoding"));
  const bool successful = head_->status >= 200 && head_->status < 300;
  if (head_->framing == Framing::none) {
    const bool playlist = successful && method_ == Method::head &&
                          (is_playlist_type(type) || has_playlist_extension(url_.path()));
    return send_relayed_head({ClientFraming::Kind::none, 0}, playlist);
  }
  if (!successful) return start_relaying();
  sniffer_.emplace(type, url_.path(), coding);
}

void Exchange::on_body(std::string_view bytes) {
  if (body_mode_ == BodyMode::undecided) {
    const Verdict verdict = sniffer_->add(bytes);
    if (verdict == Verdict::need_more) return;
    if (!decide(verdict)) return;
  }
  forward(bytes);
}

void Exchange::on_read_done() {
  if (playlist_ != nullptr && playlist_->output().size() > 0) flush_playlist();
  if (relay_) take_flow(relay_->flush());
}

void Exchange::on_end() {
  if (sniffer_ && !decide(sniffer_->end())) return;
  if (playlist_ != nullptr) return end_playlist();
  if (relay_) return end_relaying();
  finish({}, {}, End::complete);
}

// Ends the undecided state and forwards what was held back in it. False if this attempt is over.
bool Exchange::decide(Verdict verdict) {
  if (verdict == Verdict::playlist) {
    const bool asked_for_range = send_range_ && find_field(client_head_.fields, "Range");
    if (head_->status == 206 && asked_for_range && !is_complete_range()) {
      sniffer_.reset();
      retry_without_range();
      return false;
    }
    if (sniffer_->coding() == ContentCoding::unknown) {
      fail({Reason::unsupported_coding,
            std::string(field_or_empty(head_->fields, "Content-Encoding"))});
      return false;
    }
    start_rewriting(sniffer_->coding());
  } else {
    start_relaying();
  }
  if (!sniffer_->held().empty()) forward(sniffer_->held());
  sniffer_.reset();
  return step_ != Step::finished;
}

// Whether a 206 holds the whole document: `bytes 0-99/100`.
bool Exchange::is_complete_range() const {
  const auto range = parse_content_range(field_or_empty(head_->fields, "Content-Range"));
  return range && range->first == 0 && range->last + 1 == range->whole;
}

void Exchange::start_rewriting(ContentCoding coding) {
  body_mode_ = BodyMode::rewrite;
  const Config& config = environment_.config;
  playlist_ = environment_.playlist_bodies.lend();
  PlaylistSetting& setting = playlist_->setting();
  setting.base_url.clear();
  url_.append_to(setting.base_url);
  setting.proxy_origin =
      public_origin(client_head_, gate_->is_tls() ? "https" : "http",
                    is_trusted(gate_->peer(), config.trusted_proxies), config.public_url);
  if (config.hls.url_style == HlsConfig::UrlStyle::relative) {
    setting.proxy_origin = path_of(setting.proxy_origin);
  }
  setting.route_path = request_->route_path;
  // After a redirect elsewhere, nothing there is of the origin that was asked.
  setting.child_parameters =
      cross_origin_ ? request_->cross_origin_child_parameters : request_->child_parameters;
  setting.cross_origin_child_parameters = request_->cross_origin_child_parameters;
  setting.child_urls = config.hls.child_urls;
  setting.longest_line = config.limits.playlist_line;
  playlist_->begin(coding);
  count(environment_.slot.counters, Counter::playlists_rewritten);
}

void Exchange::forward(std::string_view bytes) {
  if (relay_) return take_flow(relay_->write(bytes, head_->framing == Framing::chunked));
  if (gate_->stream().is_full()) {
    unrewritten_ += bytes;
    return;
  }
  rewrite(bytes);
}

// Until the client takes no more; the rest waits for on_client_drained().
void Exchange::rewrite(std::string_view bytes) {
  // Once for what is gathered, and not for each chunk of a few bytes.
  if (playlist_->output().size() == 0) {
    const size_t room = client_status_ == 0 ? 0 : gate_->stream().room();
    flush_at_ = std::clamp(room, kPlaylistFlushBytes, kMostPlaylistFlushBytes);
  }
  while (!bytes.empty() && !gate_->stream().is_full()) {
    const std::string_view piece = bytes.substr(0, kPlaylistPieceBytes);
    bytes.remove_prefix(piece.size());
    if (auto written = playlist_->write(piece); !written) return fail(written.error());
    if (playlist_->output().size() >= flush_at_) flush_playlist();
    if (step_ == Step::finished) return;
  }
  unrewritten_ = bytes;
  // Asking for room may have begun the wait, and then nothing was sent that would tell of it.
  if (gate_->stream().is_full()) take_flow(ClientStream::Flow::full);
}

void Exchange::flush_playlist() {
  if (client_status_ == 0) send_relayed_head(framing_for_unknown_length(), true);
  take_flow(playlist_->output().hand_over(
      [this](evbuffer* text) { return gate_->stream().write(text); }));
}

void Exchange::end_playlist() {
  // Only what had been held back for the sniffer can wait here: little.
  if (auto written = playlist_->write(unrewritten_); !written) {
    return fail(written.error());
  }
  if (auto ended = playlist_->finish(); !ended) return fail(ended.error());
  count(environment_.slot.counters, Counter::playlist_lines_too_long, playlist_->lines_too_long());
  if (client_status_ == 0) {
    const size_t length = playlist_->output().size();
    send_relayed_head({ClientFraming::Kind::length, length}, true);
  }
  // Whatever the socket does not take is queued: at most what one read of the upstream became.
  flush_playlist();
  if (step_ != Step::finished) finish({}, {}, End::complete);
}

ClientFraming Exchange::framing_for_unknown_length() const {
  // An HTTP/1.0 client knows no chunks: its body ends with the connection.
  if (client_head_.minor_version == 0) return {ClientFraming::Kind::until_close, 0};
  return {ClientFraming::Kind::chunked, 0};
}

void Exchange::send_relayed_head(const ClientFraming& framing, bool is_playlist) {
  enter(Step::relay_body);
  RelayedResponse response{*head_, url_.path()};
  response.is_playlist = is_playlist;
  response.framing = framing;
  response.keep_alive = gate_->may_keep_alive() && framing.kind != ClientFraming::Kind::until_close;
  response.client_minor_version = client_head_.minor_version;
  // A playlist is always whole here, also when it came as a 206.
  client_status_ = is_playlist ? 200 : head_->status;
  gate_->stream().send_head(write_relayed_head(response, environment_.config.cors), framing,
                            response.keep_alive);
}

}  // namespace streamgate
