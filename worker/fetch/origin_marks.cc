#include "worker/fetch/origin_marks.h"

#include <string>

#include "common/hash.h"

namespace streamgate {
namespace {

constexpr unsigned kDown = 0;
constexpr unsigned kUp = 1;
// How long the list of live workers is kept. For that time the marks of a new worker may be missed;
// those of a worker that has ended are cleared.
constexpr int64_t kLiveForMs = 100;
// Each use of the mark renews it.
constexpr Milliseconds kServedFor{3'600'000};

uint64_t key_of(const HttpUrl& url) {
  return hash_of(std::to_string(url.port), hash_of(url.host, kHashSeed));
}

}  // namespace

void OriginMarks::find_live() const {
  live_since_ms_ = wheel_.now_ms();
  live_.clear();
  for (size_t i = 0; i < scoreboard_.slot_count(); ++i) {
    if (scoreboard_.is_live(i)) live_.push_back(&scoreboard_.columns[i]);
  }
}

// A worker that reached the origin cannot remove another worker's mark, but its own mark is newer.
std::optional<MarkTable::Mark> OriginMarks::newest(MarkTable Column::*table, uint64_t key) const {
  const int64_t now_ms = wheel_.now_ms();
  if (live_.empty() || now_ms - live_since_ms_ >= kLiveForMs) find_live();
  std::optional<MarkTable::Mark> newest;
  for (const Column* column : live_) {
    const auto mark = (column->*table).find(key, now_ms);
    if (mark && (!newest || mark->age < newest->age)) newest = mark;
  }
  return newest;
}

void OriginMarks::set_down(const HttpUrl& url) {
  own_.down_origins.put(key_of(url), kDown, wheel_.now_ms());
}

void OriginMarks::set_up(const HttpUrl& url) {
  own_.down_origins.put(key_of(url), kUp, wheel_.now_ms());
}

bool OriginMarks::is_down(const HttpUrl& url) const {
  const auto mark = newest(&Column::down_origins, key_of(url));
  return mark && mark->value == kDown && mark->age < config_.down_for;
}

void OriginMarks::keep(uint64_t link, unsigned index) {
  own_.kept_links.put(link, index, wheel_.now_ms());
}

std::optional<unsigned> OriginMarks::kept(uint64_t link) const {
  const auto mark = newest(&Column::kept_links, link);
  if (!mark || mark->age >= config_.failover_stick) return std::nullopt;
  return mark->value;
}

uint64_t OriginMarks::identity(const HttpUrl& url, std::string_view user_agent) {
  return hash_of(user_agent, key_of(url));
}

bool OriginMarks::is_served(uint64_t identity) const {
  const auto mark = newest(&Column::identities, identity);
  return mark && mark->value == static_cast<unsigned>(Served::player) && mark->age < kServedFor;
}

void OriginMarks::set_served(uint64_t identity, Served who) {
  own_.identities.put(identity, static_cast<unsigned>(who), wheel_.now_ms());
}

}  // namespace streamgate
