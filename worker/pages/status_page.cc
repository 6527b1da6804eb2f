#include "worker/pages/status_page.h"

#include <array>
#include <initializer_list>

#include "common/histogram.h"
#include "common/version.h"

namespace streamgate {
namespace {

constexpr size_t kUsualBytes = size_t{16} * 1024;

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --line: #c6cbd2; --soft: #f3f5f7; --quiet: #4d5660;
  --bad: #b3261e; --text: #14181d; --page: #ffffff; --link: #0b57d0; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3b444e; --soft: #1b2127; --quiet: #a8b3bf; --bad: #ff9d94; --text: #e7ebef;
    --page: #101418; --link: #8ab4f8; }
}
body { margin: 0 auto; max-width: 76rem; padding: 1rem; color: var(--text);
  background: var(--page); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .5rem; }
header { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: baseline; }
a { color: var(--link); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .5rem;
  margin: 1rem 0; }
dl div { background: var(--soft); border: 1px solid var(--line); border-radius: .4rem;
  padding: .4rem .7rem; }
dt { color: var(--quiet); font-size: .85rem; }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.table { overflow-x: auto; margin: 1rem 0; }
.table:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { color: var(--quiet); font-weight: 600; font-size: .85rem; }
td.url { white-space: normal; overflow-wrap: anywhere; min-width: 14rem; }
td.number, th.number { text-align: right; }
.bad { color: var(--bad); }
)";

constexpr std::string_view kScript = R"(
const box = document.getElementById("refresh");
const state = document.getElementById("state");
async function refresh() {
  if (!box.checked || document.hidden) return;
  try {
    const answer = await fetch("/", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status);
    const text = await answer.text();
    // Only <main>: the policy of this page does not allow the style of the new document.
    const part = text.slice(text.indexOf("<main>"), text.indexOf("</main>"));
    const next = new DOMParser().parseFromString(part, "text/html");
    const main = document.querySelector("main");
    if (main.contains(document.activeElement)) return;
    main.replaceWith(document.adoptNode(next.querySelector("main")));
    state.textContent = "";
  } catch (error) {
    state.textContent = "No answer; trying again.";
  }
}
setInterval(refresh, 2000);
)";

// `a & b` -> `a &amp; b`
void append_text(std::string_view text, std::string& out) {
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < ' ' || c == 0x7f ? '?' : c;
    }
  }
}

std::string bytes_text(uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits{" B", " KiB", " MiB", " GiB", " TiB"};
  size_t unit = 0;
  uint64_t tenths = bytes * 10;
  for (; tenths >= 10'240 && unit + 1 < kUnits.size(); ++unit) tenths /= 1024;
  std::string out = std::to_string(tenths / 10);
  if (unit > 0) out += "." + std::to_string(tenths % 10);
  return out.append(kUnits[unit]);
}

std::string age_text(int64_t seconds) {
  const auto two = [](int64_t number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  const int64_t minutes = seconds / 60;
  if (minutes == 0) return std::to_string(seconds) + " s";
  if (minutes < 60) return std::to_string(minutes) + ":" + two(seconds % 60) + " min";
  if (minutes < 48 * 60) return std::to_string(minutes / 60) + ":" + two(minutes % 60) + " h";
  return std::to_string(minutes / 60 / 24) + " d";
}

struct Cell {
  enum class Kind { text, number, url };

  Cell(std::string_view content, Kind how = Kind::text) : text(content), kind(how) {}
  Cell(uint64_t number) : text(std::to_string(number)), kind(Kind::number) {}

  std::string text;
  Kind kind;
};

class Table {
 public:
  Table(std::string& out, std::string_view caption, std::initializer_list<Cell> heads) : out_(out) {
    out_ += R"(<div class="table" role="region" tabindex="0" aria-label=")";
    append_text(caption, out_);
    out_ += "\"><table><caption>";
    append_text(caption, out_);
    out_ += "</caption><thead><tr>";
    for (const Cell& head : heads) add("th scope=\"col\"", "th", head);
    out_ += "</tr></thead><tbody>\n";
  }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  ~Table() { out_ += "</tbody></table></div>\n"; }

  void row(std::initializer_list<Cell> cells) {
    out_ += "<tr>";
    for (const Cell& cell : cells) add("td", "td", cell);
    out_ += "</tr>\n";
  }

 private:
  void add(std::string_view open, std::string_view close, const Cell& cell) {
    constexpr std::array<std::string_view, 3> kClasses{"", " class=\"number\"", " class=\"url\""};
    out_.append("<").append(open).append(kClasses[static_cast<size_t>(cell.kind)]).append(">");
    append_text(cell.text.empty() ? "-" : std::string_view(cell.text), out_);
    out_.append("</").append(close).append(">");
  }

  std::string& out_;
};

Cell right(std::string_view text) { return {text, Cell::Kind::number}; }

enum class Tone { usual, bad };

Tone bad_if(bool is_bad) { return is_bad ? Tone::bad : Tone::usual; }

void add_fact(std::string_view name, std::string_view value, Tone tone, std::string& out) {
  out.append("<div><dt>")
      .append(name)
      .append(tone == Tone::bad ? "</dt><dd class=\"bad\">" : "</dt><dd>");
  append_text(value, out);
  out += "</dd></div>\n";
}

void write_facts(const ServiceSurvey& survey, std::string& out) {
  const ServiceFacts facts = survey.facts.value_or(ServiceFacts{});
  const auto& reload = facts.reload;
  const auto total = [&](Counter counter) { return survey.totals[index_of(counter)]; };
  out += "<dl>\n";
  add_fact("State", facts.state.view(), Tone::usual, out);
  add_fact("Ready", survey.is_ready ? "yes" : "no", bad_if(!survey.is_ready), out);
  add_fact("Generation", std::to_string(facts.generation), Tone::usual, out);
  add_fact("Age", age_text((survey.now_ms - facts.started_ms) / 1000), Tone::usual, out);
  add_fact("Requests now", std::to_string(survey.exchanges()), Tone::usual, out);
  add_fact("Requests", std::to_string(total(Counter::exchanges_started)), Tone::usual, out);
  add_fact("Failed", std::to_string(total(Counter::exchanges_failed)), Tone::usual, out);
  add_fact("To clients", bytes_text(total(Counter::bytes_to_clients)), Tone::usual, out);
  add_fact("From upstreams", bytes_text(total(Counter::bytes_from_upstreams)), Tone::usual, out);
  const uint64_t died = total(Counter::workers_died);
  add_fact("Workers that died", std::to_string(died), bad_if(died > 0), out);
  const std::string_view problem = reload.problem.view();
  add_fact("Last reload",
           reload.sequence == 0 ? "none"
           : problem.empty()    ? "ok"
                                : problem,
           bad_if(!problem.empty()), out);
  if (!facts.held.view().empty()) add_fact("Reload held", facts.held.view(), Tone::bad, out);
  out += "</dl>\n";
}

void write_workers(const ServiceSurvey& survey, std::string& out) {
  Table table(out, "Workers",
              {right("Slot"), right("Process"), right("Generation"), Cell("State"), Cell("Age"),
               right("Connections"), right("Idle"), right("Requests"),
               right("Upstream connections"), right("Idle")});
  for (const ServiceSurvey::Worker& each : survey.workers) {
    table.row({each.slot, uint64_t{each.pid}, each.generation, name_of(each.state),
               Cell(age_text(each.age_ms / 1000)), each.connections, each.idle, each.exchanges,
               each.upstream_connections, each.upstream_idle});
  }
}

void write_streams(const ServiceSurvey& survey, std::string& out) {
  const std::string caption = "Live streams: " + std::to_string(survey.streams.size()) + " of " +
                              std::to_string(survey.exchanges()) + " requests";
  Table table(out, caption,
              {Cell("Client"), Cell("Kind"), Cell("Step"), Cell("Age"), right("Bytes"),
               right("Rate"), right("Worker"), Cell("Exchange"), Cell("Upstream")});
  for (const auto& [slot, each] : survey.streams) {
    table.row({each.client.view(), each.kind.view(), each.step.view(),
               Cell(age_text((survey.now_ms - each.started_ms) / 1000)),
               right(bytes_text(each.bytes)), right(bytes_text(each.rate) + "/s"), slot,
               each.id.view(), Cell(each.upstream.view(), Cell::Kind::url)});
  }
}

void write_hosts(const ServiceSurvey& survey, std::string& out) {
  Table table(
      out, "Upstream hosts with most failures",
      {Cell("Host"), right("Failed"), right("Statuses from 400"), Cell("Last"), Cell("Since")});
  for (const HostFailures& each : survey.hosts) {
    table.row({Cell(each.host.view(), Cell::Kind::url), each.failed, each.statuses,
               each.last.view(), Cell(age_text((survey.now_ms - each.last_ms) / 1000))});
  }
}

void write_failures(const Totals& totals, std::string& out) {
  Table table(out, "Failed requests by reason", {Cell("Reason"), right("Requests")});
  for (const CounterInfo& info : kCounters) {
    const uint64_t total = totals[index_of(info.counter)];
    if (!info.reason.empty() && total > 0) table.row({info.reason, total});
  }
}

}  // namespace

std::string status_page_policy(std::string_view nonce) {
  const std::string own = "'nonce-" + std::string(nonce) + "'";
  return "default-src 'none'; script-src " + own + "; style-src " + own +
         "; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
         "frame-ancestors 'none'";
}

std::string write_status_page(const ServiceSurvey& survey, std::string_view nonce) {
  std::string out;
  out.reserve(kUsualBytes);
  out += R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Streamgate</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style nonce=")";
  out.append(nonce).append("\">").append(kStyle);
  out.append("</style></head><body><header><h1>Streamgate ").append(version()).append("</h1>\n");
  out += R"(<label><input type="checkbox" id="refresh" checked> Refresh every 2 s</label>
<span id="state" role="status"></span>
<nav aria-label="Other forms"><a href="/metrics">metrics</a> <a href="/status">status</a>
<a href="/streams">streams</a></nav></header>
<main>
)";
  write_facts(survey, out);
  write_workers(survey, out);
  write_streams(survey, out);
  write_hosts(survey, out);
  write_failures(survey.totals, out);
  out.append("</main><script nonce=\"").append(nonce).append("\">").append(kScript);
  return out.append("</script></body></html>\n");
}

}  // namespace streamgate
