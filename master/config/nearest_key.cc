// nearest_config_key(): the key that a misspelt one probably means.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "master/config/table.h"

namespace streamgate {
namespace {

// Levenshtein distance, with one row of the matrix. Both texts are short.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t swapped = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, swapped}));
    }
  }
  return row[b.size()];
}

std::string_view last_word(std::string_view path) { return path.substr(path.rfind('.') + 1); }

}  // namespace

std::string nearest_config_key(std::string_view path) {
  // The comparison takes quadratic time, and a key of the file may have any length.
  constexpr size_t kMaxBytes = 64;
  if (path.size() > kMaxBytes) return {};
  std::string best;
  size_t best_distance = std::max<size_t>(2, last_word(path).size() / 3) + 1;
  const auto consider = [&](std::string_view candidate, size_t distance) {
    if (distance >= best_distance) return;
    best_distance = distance;
    best = candidate;
  };
  for (const ConfigKey& key : config_keys()) {
    const std::string_view known = key.path;
    consider(known, edit_distance(path, known));
    for (size_t dot = known.find('.'); dot != std::string_view::npos;) {
      consider(known.substr(0, dot), edit_distance(path, known.substr(0, dot)));
      dot = known.find('.', dot + 1);
    }
  }
  // The right key in the wrong section has a distance of one more than a misspelt key.
  for (const ConfigKey& key : config_keys()) {
    consider(key.path, edit_distance(last_word(path), last_word(key.path)) + 1);
  }
  return best;
}

}  // namespace streamgate
