#include "common/hash.h"

namespace streamgate {

uint64_t hash_of(std::string_view text, uint64_t seed) {
  constexpr uint64_t kPrime = 0x100000001b3U;
  for (const char c : text) seed = (seed ^ static_cast<unsigned char>(c)) * kPrime;
  return (seed ^ 0xffU) * kPrime;  // the end of the text
}

}  // namespace streamgate
