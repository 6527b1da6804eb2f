// Hashes for tables in shared memory: the same in every process and in every version of the
// program.
#pragma once

#include <cstdint>
#include <string_view>

namespace streamgate {

// FNV-1a. `seed`: the hash of the text before, or kHashSeed.
constexpr uint64_t kHashSeed = 0xcbf29ce484222325U;
uint64_t hash_of(std::string_view text, uint64_t seed);

// The finaliser of SplitMix64, a bijection: different values give different results, and similar
// values give results that look unrelated.
constexpr uint64_t mix(uint64_t value) {
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

}  // namespace streamgate
