// The text forms of a ServiceSurvey.
#include <array>
#include <ctime>
#include <string_view>

#include "common/histogram.h"
#include "common/json_string.h"
#include "common/log.h"
#include "common/service_survey.h"
#include "common/version.h"

namespace streamgate {
namespace {

// Writes the members of one JSON object; it ends with the writer.
class JsonObject {
 public:
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }
  JsonObject(const JsonObject&) = delete;
  JsonObject& operator=(const JsonObject&) = delete;
  ~JsonObject() { out_ += '}'; }

  std::string& name(std::string_view name) {
    if (!is_first_) out_ += ',';
    is_first_ = false;
    append_json_string(name, out_);
    out_ += ':';
    return out_;
  }
  template <class Number>
  void number(std::string_view key, Number value) {
    name(key) += std::to_string(value);
  }
  // null if it is empty.
  void text(std::string_view key, std::string_view value) {
    if (value.empty()) {
      name(key) += "null";
    } else {
      append_json_string(value, name(key));
    }
  }
  void flag(std::string_view key, bool value) { name(key) += value ? "true" : "false"; }
  // An array; `write` writes each item to the text.
  template <class Items, class Write>
  void array(std::string_view key, const Items& items, const Write& write) {
    name(key) += '[';
    bool is_first = true;
    for (const auto& item : items) {
      if (!is_first) out_ += ",\n";
      is_first = false;
      write(item, out_);
    }
    out_ += ']';
  }

 private:
  std::string& out_;
  bool is_first_ = true;
};

std::string iso_time(int64_t unix_seconds) {
  const auto time = static_cast<time_t>(unix_seconds);
  tm parts{};
  std::array<char, 32> text{};
  if (::gmtime_r(&time, &parts) == nullptr) return {};
  const size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), size};
}

void write_service(const ServiceSurvey& survey, std::string& out) {
  JsonObject service(out);
  const ServiceFacts facts = survey.facts.value_or(ServiceFacts{});
  service.text("state", facts.state.view());
  service.flag("ready", survey.is_ready);
  service.number("pid", facts.pid);
  service.number("generation", facts.generation);
  service.number("age_s", (survey.now_ms - facts.started_ms) / 1000);
  service.text("started", iso_time(unix_seconds_of(facts.started_ms)));
  service.number("workers_wanted", facts.workers_wanted);
  service.number("exchanges", survey.exchanges());
  service.text("reload_held", facts.held.view());
  service.text("certificates_expire",
               survey.certificates_expire > 0 ? iso_time(survey.certificates_expire) : "");
}

void write_reload(const ServiceSurvey& survey, std::string& out) {
  JsonObject reload(out);
  const ServiceFacts::Outcome outcome = survey.facts.value_or(ServiceFacts{}).reload;
  const bool failed = !outcome.problem.view().empty();
  reload.number("sequence", outcome.sequence);
  reload.text("result", outcome.sequence == 0 ? "none" : failed ? "failed" : "ok");
  reload.text("problem", outcome.problem.view());
}

void write_worker(const ServiceSurvey::Worker& each, std::string& out) {
  JsonObject worker(out);
  worker.number("slot", each.slot);
  worker.number("pid", each.pid);
  worker.number("generation", each.generation);
  worker.text("state", name_of(each.state));
  worker.number("age_s", each.age_ms / 1000);
  worker.number("connections", each.connections);
  worker.number("connections_idle", each.idle);
  worker.number("exchanges", each.exchanges);
  worker.number("upstream_connections", each.upstream_connections);
  worker.number("upstream_connections_idle", each.upstream_idle);
  worker.number("cache_bytes_held", each.cache_bytes_held);
  worker.number("cache_leases", each.cache_leases);
  worker.number("bytes_in_sockets", each.bytes_in_sockets);
}

void write_counters(const Totals& totals, std::string& out) {
  JsonObject counters(out);
  for (const CounterInfo& info : kCounters) {
    if (!info.is_cell) counters.number(info.name, totals[index_of(info.counter)]);
  }
}

// The smallest bound that at least this part of the durations does not exceed.
uint64_t quantile_ms(const HistogramInfo& info, const Totals& totals, uint64_t count,
                     uint64_t percent) {
  uint64_t sum = 0;
  for (size_t bucket = 0; bucket < kHistogramBuckets; ++bucket) {
    sum += totals[index_of(info.first_bucket) + bucket];
    if (sum * 100 >= count * percent) return bucket_bound_ms(bucket);
  }
  return bucket_bound_ms(kHistogramBuckets - 1);
}

void write_durations(const Totals& totals, std::string& out) {
  JsonObject durations(out);
  for (const HistogramInfo& info : kHistograms) {
    JsonObject each(durations.name(info.name));
    uint64_t count = 0;
    for (size_t bucket = 0; bucket < kHistogramBuckets; ++bucket) {
      count += totals[index_of(info.first_bucket) + bucket];
    }
    each.number("count", count);
    each.number("sum_ms", totals[index_of(info.sum)]);
    if (count == 0) continue;
    each.number("p50_ms_at_most", quantile_ms(info, totals, count, 50));
    each.number("p99_ms_at_most", quantile_ms(info, totals, count, 99));
  }
}

void write_host(const HostFailures& each, int64_t now_ms, std::string& out) {
  JsonObject host(out);
  host.text("host", each.host.view());
  host.number("failed", each.failed);
  host.number("statuses", each.statuses);
  host.text("last", each.last.view());
  host.number("last_age_s", (now_ms - each.last_ms) / 1000);
}

void write_stream(const ServiceSurvey::Stream& each, int64_t now_ms, std::string& out) {
  JsonObject stream(out);
  stream.number("worker", each.slot);
  stream.text("id", each.facts.id.view());
  stream.text("client", each.facts.client.view());
  stream.text("kind", each.facts.kind.view());
  stream.text("step", each.facts.step.view());
  stream.text("since", iso_time(unix_seconds_of(each.facts.started_ms)));
  stream.number("age_s", (now_ms - each.facts.started_ms) / 1000);
  stream.number("bytes", each.facts.bytes);
  stream.number("rate", each.facts.rate);
  stream.text("upstream", each.facts.upstream.view());
}

void add_streams(const ServiceSurvey& survey, JsonObject& out) {
  out.array("streams", survey.streams,
            [&](const auto& each, std::string& text) { write_stream(each, survey.now_ms, text); });
}

void add(std::string& out, std::string_view key, std::string_view value) {
  out += ' ';
  out += key;
  out += '=';
  if (value.empty()) {
    out += '-';
  } else {
    out += log::needs_quotes(value) ? log::quote(value) : std::string(value);
  }
}

}  // namespace

std::string print_status_json(const ServiceSurvey& survey) {
  std::string out;
  {
    JsonObject status(out);
    status.text("version", version());
    write_service(survey, status.name("service"));
    write_reload(survey, status.name("reload"));
    status.array("workers", survey.workers, write_worker);
    write_counters(survey.totals, status.name("counters"));
    write_durations(survey.totals, status.name("durations"));
    status.array("hosts", survey.hosts, [&](const auto& each, std::string& text) {
      write_host(each, survey.now_ms, text);
    });
    add_streams(survey, status);
  }
  return out + "\n";
}

std::string print_streams_json(const ServiceSurvey& survey) {
  std::string out;
  {
    JsonObject streams(out);
    streams.number("exchanges", survey.exchanges());
    add_streams(survey, streams);
  }
  return out + "\n";
}

std::string print_streams(const ServiceSurvey& survey) {
  std::string out = "streams";
  add(out, "shown", std::to_string(survey.streams.size()));
  add(out, "exchanges", std::to_string(survey.exchanges()));
  out += '\n';
  for (const ServiceSurvey::Stream& each : survey.streams) {
    out += "stream";
    add(out, "client", each.facts.client.view());
    add(out, "kind", each.facts.kind.view());
    add(out, "step", each.facts.step.view());
    add(out, "age", std::to_string((survey.now_ms - each.facts.started_ms) / 1000) + "s");
    add(out, "bytes", std::to_string(each.facts.bytes));
    add(out, "rate", std::to_string(each.facts.rate));
    add(out, "worker", std::to_string(each.slot));
    add(out, "id", each.facts.id.view());
    add(out, "upstream", each.facts.upstream.view());
    out += '\n';
  }
  return out;
}

}  // namespace streamgate
