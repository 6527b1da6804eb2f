#include "master/upgrade/handover.h"

#include <array>
#include <charconv>
#include <concepts>
#include <map>
#include <type_traits>
#include <utility>

#include "common/url.h"
#include "master/service/text_lines.h"

namespace streamgate {
namespace {

constexpr std::string_view kTitle = "streamgate-state";
constexpr std::string_view kEnd = "end";
constexpr std::string_view kOffset = "at.";
constexpr std::string_view kState = "state.";

using Order = WorkerProcess::Order;
// The names are those of every version of the program.
constexpr std::array<std::pair<std::string_view, Order>, 5> kOrders{{{"serve", Order::serve},
                                                                     {"drain", Order::drain},
                                                                     {"leave", Order::interrupt},
                                                                     {"abort", Order::abort},
                                                                     {"kill", Order::kill}}};

Error refused(const std::string& what) { return {Reason::internal, "the state is wrong: " + what}; }

// Writes one record: `name key=value ...`.
class RecordWriter {
 public:
  RecordWriter(std::string& out, std::string_view name) : out_(out) { out_ += name; }
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;
  ~RecordWriter() { out_ += '\n'; }

  void value(std::string_view key, const std::string& text) {
    out_ += ' ';
    percent_encode(key, out_);
    out_ += '=';
    percent_encode(text, out_);
  }
  template <class Number>
  requires std::is_arithmetic_v<Number>
  void value(std::string_view key, Number number) {
    if constexpr (std::is_same_v<Number, bool>) {
      value(key, std::string(number ? "1" : "0"));
    } else {
      value(key, std::to_string(number));
    }
  }
  void value(std::string_view key, const std::optional<int64_t>& number) {
    if (number) value(key, *number);
  }
  void value(std::string_view key, Order order) {
    for (const auto& [name, known] : kOrders) {
      if (known == order) value(key, std::string(name));
    }
  }
  void value(const std::string& prefix, const std::optional<ListenTls>& tls) {
    if (!tls) return;
    value(prefix + "certificate", tls->certificate);
    value(prefix + "key", tls->key);
    value(prefix + "certificate_pem", tls->certificate_pem);
    std::string key(tls->key_pem.view());
    value(prefix + "key_pem", key);
    wipe(key);
  }
  template <class Number>
  void values(std::string_view prefix, const std::map<std::string, Number>& numbers) {
    for (const auto& [name, number] : numbers) value(std::string(prefix) + name, number);
  }

 private:
  std::string& out_;
};

// Reads one record and keeps the name of the first value that cannot be parsed.
class RecordReader {
 public:
  explicit RecordReader(std::string_view line) {
    name_ = line.substr(0, line.find(' '));
    line.remove_prefix(name_.size());
    while (!line.empty()) {
      line.remove_prefix(1);
      const std::string_view pair = line.substr(0, line.find(' '));
      line.remove_prefix(pair.size());
      const size_t equals = pair.find('=');
      if (equals == std::string_view::npos) continue;
      values_[percent_decode(pair.substr(0, equals))] = percent_decode(pair.substr(equals + 1));
    }
  }

  RecordReader(const RecordReader&) = delete;
  RecordReader& operator=(const RecordReader&) = delete;
  ~RecordReader() {
    for (auto& [key, text] : values_) wipe(text);  // one may be a private key
  }

  std::string_view name() const { return name_; }
  const std::string& trouble() const { return trouble_; }

  void value(std::string_view key, std::string& text) {
    if (const std::string* found = find(key)) text = *found;
  }
  template <class Number>
  requires std::is_arithmetic_v<Number>
  void value(std::string_view key, Number& number) {
    const std::string* text = find(key);
    if (text == nullptr) return;
    if constexpr (std::is_same_v<Number, bool>) {
      number = *text == "1";
    } else {
      const char* end = text->data() + text->size();
      const auto read = std::from_chars(text->data(), end, number);
      if (read.ec != std::errc() || read.ptr != end) complain(key);
    }
  }
  void value(std::string_view key, std::optional<int64_t>& number) {
    if (find(key)) value(key, number.emplace());
  }
  void value(std::string_view key, Order& order) {
    const std::string* text = find(key);
    if (text == nullptr) return;
    for (const auto& [name, known] : kOrders) {
      if (name != *text) continue;
      order = known;
      return;
    }
    complain(key);
  }
  void value(const std::string& prefix, std::optional<ListenTls>& tls) {
    if (!find(prefix + "key_pem")) return;
    tls.emplace();
    value(prefix + "certificate", tls->certificate);
    value(prefix + "key", tls->key);
    value(prefix + "certificate_pem", tls->certificate_pem);
    if (const std::string* text = find(prefix + "key_pem")) tls->key_pem = *text;
  }
  template <class Number>
  void values(std::string_view prefix, std::map<std::string, Number>& numbers) {
    for (const auto& [key, text] : values_) {
      if (key.starts_with(prefix)) value(key, numbers[key.substr(prefix.size())]);
    }
  }

 private:
  const std::string* find(std::string_view key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
  }

  void complain(std::string_view key) {
    if (trouble_.empty()) trouble_ = std::string(name_) + " " + std::string(key);
  }

  std::string_view name_;
  std::map<std::string, std::string, std::less<>> values_;
  std::string trouble_;
};

template <class T, class Kind>
concept Is = std::same_as<std::remove_const_t<T>, Kind>;

// describe() lists the values of each kind of record, once for both directions. A record that is
// written is const.

template <class Record>
void describe(Record& record, Is<Handover::Service> auto& service) {
  record.value("pid", service.pid);
  record.value("program", service.program);
  record.value("version", service.version);
  record.value("pid_file", service.pid_file);
  record.value("notify_socket", service.notify_socket);
  record.value("watchdog_ms", service.watchdog_ms);
  record.value("started_ms", service.started_ms);
  record.value("reload_started_us", service.reload_started_us);
  record.value("reload_wanted", service.reload_wanted);
  record.value("is_ready", service.is_ready);
  record.value("last_generation", service.last_generation);
  record.value("lifeline_read", service.lifeline_read);
  record.value("lifeline_write", service.lifeline_write);
}

template <class Record>
void describe(Record& record, Is<Outcome> auto& outcome) {
  record.value("sequence", outcome.sequence);
  record.value("started_us", outcome.started_us);
  record.value("problem", outcome.problem);
}

template <class Record>
void describe(Record& record, Is<Handover::Listener> auto& listener) {
  record.value("fd", listener.fd);
  record.value("configured", listener.configured);
  record.value("device", listener.device);
  record.value("inode", listener.inode);
  record.value("from_manager", listener.from_manager);
  record.value("tls.", listener.tls);
}

template <class Record>
void describe(Record& record, Is<Handover::Board> auto& board) {
  record.value("fd", board.fd);
  record.value("size", board.layout.size);
  record.value("slots", board.layout.slots);
  record.value("first_slot", board.layout.first_slot);
  record.value("slot_size", board.layout.slot_size);
  record.values(kOffset, board.layout.offsets);
  record.values(kState, board.layout.states);
}

template <class Record>
void describe(Record& record, Is<Handover::Worker> auto& worker) {
  record.value("pid", worker.pid);
  record.value("slot", worker.slot);
  record.value("generation", worker.generation);
  record.value("place", worker.place);
  record.value("order", worker.standing.order);
  record.value("deadline_ms", worker.standing.deadline_ms);
  record.value("seen_ready", worker.standing.seen_ready);
  record.value("started_ms", worker.standing.started_ms);
  record.value("board", worker.board);
  record.value("board_slot", worker.board_slot);
  record.value("cache_column", worker.cache_column);
}

template <class Record>
void describe(Record& record, Is<Handover::Cache> auto& cache) {
  record.value("directory", cache.directory);
  record.value("bodies", cache.bodies);
  record.value("layout", cache.layout);
}

template <class Record>
void describe(Record& record, Is<Handover::CacheWaker> auto& waker) {
  record.value("fd", waker.fd);
}

template <class Record>
void describe(Record& record, Is<Handover::Generation> auto& generation) {
  record.value("number", generation.number);
  record.value("places", generation.places);
}

template <class Record>
void describe(Record& record, Is<ConfigSetting> auto& setting) {
  record.value("key", setting.key);
  record.value("value", setting.value);
  record.value("is_default", setting.is_default);
}

// Calls `visit` with the name of each kind of record and the member that holds it.
template <class T, class Visitor>
void for_each_kind(T& handover, const Visitor& visit) {
  visit("service", handover.service);
  visit("reload", handover.reload);
  visit("reopen", handover.reopen);
  visit("listener", handover.listeners);
  visit("board", handover.boards);
  visit("worker", handover.workers);
  visit("cache", handover.cache);
  visit("cache_waker", handover.cache_wakers);
  visit("generation", handover.generation);
  visit("setting", handover.settings);
}

template <class T>
constexpr bool kIsList = false;
template <class T>
constexpr bool kIsList<std::vector<T>> = true;

Result<void> check_cache(const Handover& handover) {
  if (handover.cache.size() > 1) return refused("there are several caches");
  for (const Handover::Cache& cache : handover.cache) {
    if (cache.directory < 0 || cache.bodies < 0) return refused("cache fd");
  }
  for (const Handover::CacheWaker& waker : handover.cache_wakers) {
    if (waker.fd < 0) return refused("cache_waker fd");
  }
  for (const Handover::Worker& worker : handover.workers) {
    if (!worker.cache_column) continue;
    if (*worker.cache_column < 0 ||
        std::cmp_greater_equal(*worker.cache_column, handover.cache_wakers.size())) {
      return refused("worker cache_column");
    }
  }
  return {};
}

Result<void> check_numbers(const Handover& handover) {
  const Handover::Service& service = handover.service;
  if (service.pid < 1) return refused("service pid");
  if (service.lifeline_read < 0 || service.lifeline_write < 0) return refused("service lifeline");
  if (handover.generation.number == 0 || handover.generation.places == 0) {
    return refused("generation");
  }
  for (const Handover::Listener& listener : handover.listeners) {
    if (listener.fd < 0) return refused("listener fd");
  }
  if (handover.boards.empty()) return refused("there is no board");
  for (const Handover::Board& board : handover.boards) {
    if (board.fd < 0) return refused("board fd");
    if (auto checked = check_layout(board.layout); !checked) return checked;
  }
  for (const Handover::Worker& worker : handover.workers) {
    if (worker.pid < 1) return refused("worker pid");
    if (worker.generation < 1) return refused("worker generation");
    if (worker.slot >= handover.boards[0].layout.slots) return refused("worker slot");
    if (worker.board >= handover.boards.size() ||
        worker.board_slot >= handover.boards[worker.board].layout.slots) {
      return refused("worker board");
    }
    const bool is_bounded =
        worker.standing.order == Order::interrupt || worker.standing.order == Order::abort;
    if (is_bounded && !worker.standing.deadline_ms) return refused("worker deadline");
    const bool is_current = worker.generation == handover.generation.number;
    if (is_current && worker.place >= handover.generation.places) return refused("worker place");
  }
  return check_cache(handover);
}

Result<void> check_title(std::string_view line) {
  const std::string known = std::to_string(kHandoverVersion);
  const std::string_view name = line.substr(0, line.find(' '));
  if (name != kTitle || name.size() == line.size()) return refused("it is not a handover");
  const std::string_view version = line.substr(name.size() + 1);
  if (version == known) return {};
  return Error{Reason::internal, "the state has version " + std::string(version.substr(0, 20)) +
                                     ", and this program knows " + known};
}

}  // namespace

std::vector<int> descriptors_of(const Handover& handover) {
  std::vector<int> out{handover.service.lifeline_read, handover.service.lifeline_write};
  for (const Handover::Listener& listener : handover.listeners) out.push_back(listener.fd);
  for (const Handover::Board& board : handover.boards) out.push_back(board.fd);
  for (const Handover::Cache& cache : handover.cache) {
    out.push_back(cache.directory);
    out.push_back(cache.bodies);
  }
  for (const Handover::CacheWaker& waker : handover.cache_wakers) out.push_back(waker.fd);
  return out;
}

std::string print_handover(const Handover& handover) {
  std::string out = std::string(kTitle) + " " + std::to_string(kHandoverVersion) + "\n";
  for_each_kind(handover, [&out](std::string_view name, const auto& records) {
    if constexpr (kIsList<std::decay_t<decltype(records)>>) {
      for (const auto& each : records) {
        RecordWriter record(out, name);
        describe(record, each);
      }
    } else {
      RecordWriter record(out, name);
      describe(record, records);
    }
  });
  return out + std::string(kEnd) + "\n";
}

Result<Handover> parse_handover(std::string_view text) {
  if (const auto known = check_title(take_line(text)); !known) return known.error();
  Handover out;
  while (true) {
    if (text.empty()) return refused("its end is missing");
    RecordReader record(take_line(text));
    if (record.name() == kEnd) break;
    for_each_kind(out, [&record](std::string_view name, auto& records) {
      if (record.name() != name) return;
      if constexpr (kIsList<std::decay_t<decltype(records)>>) {
        describe(record, records.emplace_back());
      } else {
        describe(record, records);
      }
    });
    if (!record.trouble().empty()) return refused(record.trouble());
  }
  if (const auto checked = check_numbers(out); !checked) return checked.error();
  return out;
}

}  // namespace streamgate
