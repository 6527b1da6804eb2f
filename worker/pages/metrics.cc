#include "worker/pages/metrics.h"

#include <algorithm>
#include <utility>

#include "common/histogram.h"
#include "common/version.h"

namespace streamgate {
namespace {

constexpr size_t kUsualBytes = size_t{32} * 1024;

class MetricsWriter {
 public:
  MetricsWriter() { text_.reserve(kUsualBytes); }

  // Begins a metric. Its samples follow.
  void metric(std::string_view name, std::string_view type, std::string_view help) {
    name_ = "streamgate_" + std::string(name);
    text_.append("# HELP ").append(name_).append(" ").append(help).append("\n");
    text_.append("# TYPE ").append(name_).append(" ").append(type).append("\n");
  }

  // `suffix` is added to the metric's name. `label` is empty or `name="value"`.
  void sample(std::string_view suffix, std::string_view label, const std::string& value) {
    text_.append(name_).append(suffix);
    if (!label.empty()) text_.append("{").append(label).append("}");
    text_.append(" ").append(value).append("\n");
  }
  void sample(std::string_view label, uint64_t value) { sample("", label, std::to_string(value)); }

  void gauge(std::string_view name, std::string_view help, uint64_t value) {
    metric(name, "gauge", help);
    sample("", value);
  }

  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

std::string label(std::string_view name, std::string_view value) {
  return std::string(name) + "=\"" + std::string(value) + "\"";
}

// Milliseconds as seconds.
std::string seconds(uint64_t ms) {
  std::string fraction = std::to_string(ms % 1000);
  fraction.insert(0, 3 - fraction.size(), '0');
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return std::to_string(ms / 1000) + (fraction.empty() ? "" : "." + fraction);
}

void write_counters(const Totals& totals, MetricsWriter& out) {
  for (const CounterInfo& info : kCounters) {
    // exchanges_failed is the sum of the failures by reason.
    if (info.is_cell || !info.reason.empty() || info.counter == Counter::exchanges_failed) continue;
    out.metric(std::string(info.name) + "_total", "counter", info.help);
    out.sample("", totals[index_of(info.counter)]);
  }
  out.metric("exchanges_failed_total", "counter", info_of(failures_of(Reason::internal)).help);
  for (const CounterInfo& info : kCounters) {
    if (info.reason.empty()) continue;
    out.sample(label("reason", info.reason), totals[index_of(info.counter)]);
  }
}

void write_histograms(const Totals& totals, MetricsWriter& out) {
  for (const HistogramInfo& info : kHistograms) {
    out.metric(std::string(info.name) + "_duration_seconds", "histogram", info.help);
    uint64_t sum = 0;
    for (size_t bucket = 0; bucket < kHistogramBuckets; ++bucket) {
      sum += totals[index_of(info.first_bucket) + bucket];
      const bool is_last = bucket + 1 == kHistogramBuckets;
      const std::string bound = is_last ? "+Inf" : seconds(bucket_bound_ms(bucket));
      out.sample("_bucket", label("le", bound), std::to_string(sum));
    }
    out.sample("_sum", "", seconds(totals[index_of(info.sum)]));
    out.sample("_count", "", std::to_string(sum));
  }
}

// A gauge of each worker.
void write_gauges(const ServiceSurvey& survey, MetricsWriter& out) {
  struct Gauge {
    std::string_view name;
    std::string_view help;
    uint64_t ServiceSurvey::Worker::*value;
  };
  using Worker = ServiceSurvey::Worker;
  static constexpr Gauge kGauges[] = {
      {"connections", "Client connections now.", &Worker::connections},
      {"connections_idle", "Client connections without a request now.", &Worker::idle},
      {"exchanges", "Client requests that are served now.", &Worker::exchanges},
      {"upstream_connections", "Connections to upstreams now.", &Worker::upstream_connections},
      {"upstream_connections_idle", "Connections to upstreams without a request now.",
       &Worker::upstream_idle},
      {"cache_bytes_held", "Memory for answers of the cache now, free regions included.",
       &Worker::cache_bytes_held},
      {"cache_leases", "Answers of other workers that the worker may read now.",
       &Worker::cache_leases},
      {"bytes_in_sockets", "Bytes that clients have not acknowledged, as of a second ago.",
       &Worker::bytes_in_sockets},
  };
  for (const Gauge& gauge : kGauges) {
    out.metric(gauge.name, "gauge", gauge.help);
    for (const Worker& worker : survey.workers) {
      out.sample(label("worker", std::to_string(worker.slot)), worker.*gauge.value);
    }
  }
}

void write_workers(const ServiceSurvey& survey, MetricsWriter& out) {
  constexpr WorkerState kStates[] = {WorkerState::starting, WorkerState::ready,
                                     WorkerState::draining};
  out.metric("workers", "gauge", "Worker processes by state.");
  for (const WorkerState state : kStates) {
    const auto number =
        std::count_if(survey.workers.begin(), survey.workers.end(),
                      [state](const auto& worker) { return worker.state == state; });
    out.sample(label("kind", name_of(state)), static_cast<uint64_t>(number));
  }
}

void write_streams(const ServiceSurvey& survey, MetricsWriter& out) {
  out.metric("streams", "gauge", "Answers that are sent to clients now, by kind.");
  for (const std::string_view kind : {"file", "live", "playlist"}) {
    const auto number =
        std::count_if(survey.streams.begin(), survey.streams.end(),
                      [kind](const auto& stream) { return stream.facts.kind.view() == kind; });
    out.sample(label("kind", kind), static_cast<uint64_t>(number));
  }
}

void write_service(const ServiceSurvey& survey, const Config& config, MetricsWriter& out) {
  out.metric("build_info", "gauge", "The version of the program; always 1.");
  out.sample(label("version", version()), 1);
  out.gauge("ready", "1 while /ready answers 200.", survey.is_ready ? 1 : 0);
  if (survey.facts) {
    out.gauge("start_time_seconds", "When the service was started, in seconds since 1970.",
              static_cast<uint64_t>(unix_seconds_of(survey.facts->started_ms)));
    out.gauge("generation", "The number of the generation that serves.", survey.facts->generation);
    out.gauge("workers_wanted", "The number of workers that should serve.",
              survey.facts->workers_wanted);
  }
  if (survey.certificates_expire > 0) {
    out.gauge("certificate_expiry_timestamp_seconds",
              "When the first of the listeners' certificates expires, in seconds since 1970.",
              static_cast<uint64_t>(survey.certificates_expire));
  }
  out.gauge("connections_limit", "The value of limits.connections.", config.limits.connections);
  out.gauge("cache_bytes_limit", "The value of cache.memory.", config.cache.memory);
}

}  // namespace

std::string write_metrics(const ServiceSurvey& survey, const Config& config) {
  MetricsWriter out;
  write_service(survey, config, out);
  write_workers(survey, out);
  write_streams(survey, out);
  write_gauges(survey, out);
  write_counters(survey.totals, out);
  write_histograms(survey.totals, out);
  return out.take();
}

}  // namespace streamgate
