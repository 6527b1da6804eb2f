#include "master/service/status_report.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/counters.h"
#include "common/log.h"
#include "common/version.h"
#include "master/service/text_lines.h"

namespace streamgate {
namespace {

void add(std::string& out, std::string_view key, const std::string& value) {
  out += " " + std::string(key) + "=" + value;
}

template <class Number>
void add(std::string& out, std::string_view key, Number value) {
  add(out, key, std::to_string(value));
}

void add_outcome(std::string& out, std::string_view name, const Outcome& outcome) {
  out += name;
  add(out, "sequence", outcome.sequence);
  add(out, "started_us", outcome.started_us);
  if (outcome.sequence == 0) {
    out += " result=none\n";
  } else if (outcome.problem.empty()) {
    out += " result=ok\n";
  } else {
    out += " result=failed";
    add(out, "reason", log::quote(outcome.problem));
    out += "\n";
  }
}

// Reverses log::quote for blanks, quotes and backslashes.
std::string unquote(std::string_view value) {
  if (value.size() < 2 || value.front() != '"') return std::string(value);
  std::string out;
  for (size_t i = 1; i + 1 < value.size(); ++i) {
    const bool escaped = value[i] == '\\' && (value[i + 1] == '"' || value[i + 1] == '\\');
    if (escaped) ++i;
    out += value[i];
  }
  return out;
}

// The length of the value at the start of `rest`: to its closing quote, or to the next blank.
size_t value_length(std::string_view rest) {
  if (rest.empty() || rest.front() != '"') return std::min(rest.find(' '), rest.size());
  size_t i = 1;
  while (i < rest.size() && rest[i] != '"') i += rest[i] == '\\' ? 2 : 1;
  return std::min(i + 1, rest.size());
}

std::optional<std::string> value_in(std::string_view line, std::string_view key) {
  while (!line.empty()) {
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view name = line.substr(0, equals);
    line.remove_prefix(equals + 1);
    const size_t length = value_length(line);
    if (name == key) return unquote(line.substr(0, length));
    line.remove_prefix(std::min(length + 1, line.size()));  // with the blank after it
  }
  return std::nullopt;
}

template <class Number>
Number number_or_zero(const std::optional<std::string>& text) {
  Number out{};
  if (text) std::from_chars(text->data(), text->data() + text->size(), out);
  return out;
}

void add_worker(std::string& out, const StatusReport::Worker& worker) {
  out += "worker";
  add(out, "pid", worker.pid);
  add(out, "slot", worker.slot);
  add(out, "generation", worker.generation);
  add(out, "state", std::string(worker.state));
  add(out, "age", std::to_string(worker.age_s) + "s");
  add(out, "connections", worker.connections);
  add(out, "exchanges", worker.exchanges);
  out += "\n";
}

void add_totals(std::string& out, const StatusReport& report) {
  out += "total";
  for (size_t i = 0; i < report.totals.size(); ++i) {
    // A reason that never occurred is left out, because people read the line too.
    if (!kCounters[i].reason.empty() && report.totals[i] == 0) continue;
    if (kCounters[i].is_cell) continue;
    add(out, kCounters[i].name, report.totals[i]);
  }
  out += "\n";
}

}  // namespace

void Outcome::record(int64_t start_us, std::string new_problem) {
  ++sequence;
  started_us = start_us;
  problem = std::move(new_problem);
}

std::string print_status(const StatusReport& report) {
  std::string out = "master";
  add(out, "pid", report.pid);
  add(out, "version", std::string(version()));
  add(out, "state", std::string(report.state));
  add(out, "generation", report.generation);
  add(out, "workers", report.workers.size());
  add(out, "wanted", report.workers_wanted);
  add(out, "age", std::to_string(report.age_s) + "s");
  add(out, "addresses", log::quote(report.addresses));
  add(out, "start_ticks", report.start_ticks);
  add(out, "written_us", report.written_us);
  out += "\n";
  if (!report.held.empty()) {
    out += "held";
    add(out, "reason", log::quote(report.held));
    out += "\n";
  }
  add_outcome(out, "reload", report.reload);
  add_outcome(out, "reopen", report.reopen);
  for (const StatusReport::Worker& worker : report.workers) add_worker(out, worker);
  add_totals(out, report);
  out += "end";
  add(out, "written_us", report.written_us);
  return out + "\n";
}

bool is_whole_status(std::string_view text) {
  const auto written = status_value(text, "master", "written_us");
  return written && text.ends_with('\n') && status_value(text, "end", "written_us") == written;
}

std::optional<std::string> status_value(std::string_view text, std::string_view line,
                                        std::string_view key) {
  while (!text.empty()) {
    const std::string_view first = take_line(text);
    if (first.substr(0, first.find(' ')) != line || first.size() == line.size()) continue;
    return value_in(first.substr(line.size() + 1), key);
  }
  return std::nullopt;
}

Outcome status_outcome(std::string_view text, std::string_view line) {
  Outcome out;
  out.sequence = number_or_zero<uint64_t>(status_value(text, line, "sequence"));
  out.started_us = number_or_zero<int64_t>(status_value(text, line, "started_us"));
  out.problem = status_value(text, line, "reason").value_or("");
  return out;
}

}  // namespace streamgate
