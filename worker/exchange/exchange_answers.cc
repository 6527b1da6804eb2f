// The part of Exchange that answers requests without an upstream.
#include <string>

#include "worker/client/client_rules.h"
#include "worker/exchange/exchange.h"
#include "worker/http/fetch_metadata.h"
#include "worker/http/own_response.h"
#include "worker/pages/health.h"
#include "worker/pages/player_page.h"

namespace streamgate {

void Exchange::answer_options() {
  answer(204,
         write_preflight_response(client_head_, gate_->may_keep_alive(), environment_.config.cors));
}

void Exchange::answer_health() {
  const HealthRequest request{
      client_head_, gate_->may_keep_alive(),
      environment_.scoreboard.board.service_stopping.load(std::memory_order_relaxed)};
  const HealthResponse response = write_health_response(request, environment_.config.cors);
  answer(response.status, response.text);
}

void Exchange::answer_page() {
  const Config& config = environment_.config;
  const PageAsset* asset = config.page.enabled ? find_page_asset(client_head_.target) : nullptr;
  if (asset == nullptr) return fail({Reason::not_found, {}});
  if (is_for_service_worker(client_head_.fields)) return fail({Reason::script_forbidden, {}});
  if (!is_served(gate_->stream().client(), config.security.clients)) {
    return fail({Reason::client_forbidden, {}});
  }
  const PageResponse response =
      write_page_response(*asset, {client_head_, gate_->may_keep_alive(), config.public_url});
  answer(response.status, response.text);
}

void Exchange::answer_ready() {
  const bool ready = is_ready(environment_.scoreboard, environment_.wheel.now_ms(),
                              environment_.config.watchdog_timeout);
  const ReadyRequest request{client_head_, gate_->may_keep_alive(), ready};
  const HealthResponse response = write_ready_response(request, environment_.config.cors);
  answer(response.status, response.text);
}

// Answers a HEAD from the stored answer to a GET. The first bytes decide, as for a GET, and no byte
// of the body is sent. The length of a document that would be rewritten is unknown.
void Exchange::answer_head(DocumentKind kind) {
  if (kind == DocumentKind::none) {
    note_media_type();
    const bool has_length = head_->framing == Framing::length;
    send_relayed_head(has_length ? ClientFraming{ClientFraming::Kind::length, head_->content_length}
                                 : ClientFraming{ClientFraming::Kind::none, 0},
                      false);
  } else if (sniffer_->is_readable()) {
    if (kind != DocumentKind::hls) document_type_ = media_type_of(kind);
    send_relayed_head({ClientFraming::Kind::none, 0}, true);
  } else {
    return fail(Error::for_client(Reason::unsupported_coding,
                                  std::string(field_or_empty(head_->fields, "Content-Encoding"))));
  }
  finish({}, {}, End::complete);
}

void Exchange::answer(int status, const std::string& text) {
  send_own(status, text, gate_->may_keep_alive());
  finish({}, {}, End::complete);
}

void Exchange::send_own(int status, const std::string& text, bool keep_alive) {
  client_status_ = status;
  body_bytes_ = text.size() - (text.find("\r\n\r\n") + 4);
  gate_->stream().send_head(text, {ClientFraming::Kind::none, 0}, keep_alive);
}

}  // namespace streamgate
