#include "worker/fetch/origin_marks.h"

#include <string>

#include "common/hash.h"

namespace streamgate {
namespace {

constexpr unsigned kDown = 0;
constexpr unsigned kUp = 1;

uint64_t key_of(const HttpUrl& url) {
  return hash_of(std::to_string(url.port), hash_of(url.host, kHashSeed));
}

}  // namespace

// A worker that reached the origin cannot remove another worker's mark, but its own mark is newer.
std::optional<MarkTable::Mark> OriginMarks::newest(MarkTable Column::*table, uint64_t key) const {
  std::optional<MarkTable::Mark> newest;
  for (size_t i = 0; i < scoreboard_.slot_count(); ++i) {
    if (!scoreboard_.is_live(i)) continue;
    const auto mark = (scoreboard_.columns[i].*table).find(key, wheel_.now_ms());
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

}  // namespace streamgate
