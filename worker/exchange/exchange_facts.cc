// Exchange's reports for operators: its row among the live streams, and failures of its upstream.
#include <string>

#include "common/log.h"
#include "worker/exchange/exchange.h"

namespace streamgate {
namespace {

bool is_caused_by_upstream(Reason reason) {
  const int status = status_for(reason);
  return status == 502 || status == 504 || reason == Reason::upstream_busy;
}

}  // namespace

StreamFacts Exchange::facts() const {
  StreamFacts out;
  out.started_ms = started_ms_;
  out.bytes = body_bytes_ + gate_->stream().body_bytes_sent();
  out.kind = FixedText<12>(kind_);
  out.step = FixedText<12>(step_name());
  out.id = FixedText<64>(gate_->stream().id().text());
  out.client = FixedText<64>(gate_->stream().client_text());
  const std::string_view target = fetch_->is_redirected() ? "" : note_.whole_target();
  out.upstream = FixedText<256>(target.empty() ? log::redact(fetch_->url().to_string()) : target);
  return out;
}

void Exchange::count_sent(uint64_t sent) {
  if (sent <= counted_bytes_) return;
  count(environment_.slot.counters, Counter::bytes_to_clients, sent - counted_bytes_);
  counted_bytes_ = sent;
}

void Exchange::count_failure_of_host(std::optional<Reason> failure) {
  const int status = fetch_->upstream_status();
  const bool is_upstreams = failure && is_caused_by_upstream(*failure);
  if (!is_upstreams && status < 400) return;
  const std::string host = fetch_->url().authority();
  if (is_upstreams) return environment_.failing_hosts.count_failure(host, token_of(*failure));
  environment_.failing_hosts.count_status(host, status);
}

void Exchange::count_cache_outcome() {
  Counters& counters = environment_.slot.counters;
  switch (fetch_->cache_outcome()) {
    case CacheOutcome::off:
      return;
    case CacheOutcome::hit:
      return count(counters, Counter::cache_hits);
    case CacheOutcome::shared:
      return count(counters, Counter::cache_shared);
    case CacheOutcome::miss:
      return count(counters, Counter::cache_misses);
    case CacheOutcome::pass:
      return count(counters, Counter::cache_passes);
  }
}

void Exchange::log_state() const {
  log::info("exchange.live", {{"client", gate_->stream().client_text()},
                              {"step", step_name()},
                              {"age_ms", environment_.wheel.now_ms() - started_ms_},
                              {"bytes", gate_->stream().body_bytes_sent()},
                              {"upstream", fetch_ ? log::redact(fetch_->url().to_string()) : ""}});
}

void Exchange::enter(Step step) {
  step_ = step;
  if (log::enabled(LogLevel::debug)) {
    log::debug("exchange.step", {{"step", step_name()}, {"client", gate_->stream().client_text()}});
  }
}

std::string_view Exchange::step_name() const {
  switch (step_) {
    case Step::admit:
      return "admit";
    case Step::fetch:
      return fetch_ ? fetch_->step_name() : "fetch";
    case Step::relay_body:
      return "relay_body";
    case Step::finished:
      return "finished";
  }
  return "?";
}

}  // namespace streamgate
