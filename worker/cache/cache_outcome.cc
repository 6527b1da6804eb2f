#include "worker/cache/cache_outcome.h"

namespace streamgate {

std::string_view name_of(CacheOutcome outcome) {
  switch (outcome) {
    case CacheOutcome::off:
      return "";
    case CacheOutcome::hit:
      return "hit";
    case CacheOutcome::shared:
      return "shared";
    case CacheOutcome::miss:
      return "miss";
    case CacheOutcome::pass:
      return "pass";
  }
  return "?";
}

bool is_shared(CacheOutcome outcome) {
  return outcome != CacheOutcome::off && outcome != CacheOutcome::pass;
}

}  // namespace streamgate
