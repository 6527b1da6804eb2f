// The memory for the bodies of one worker: regions in its range of the body file. A region that is
// given back keeps its pages for the next body, because the kernel's work for new pages costs
// several times the copy. Pages of regions that stay free are returned, and those of regions whose
// pages were sent without a copy.
//
// `cache.memory` bounds the pages of all workers, those of recycled regions included.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "worker/cache/seat.h"

namespace streamgate {

class RegionStore {
 public:
  struct Region {
    uint32_t size_class = 0;
    uint32_t number = 0;
  };

  // `limit`: bytes, over all workers. `longest`: the largest region that take() is asked for.
  RegionStore(CacheSeat& seat, char* memory, uint64_t limit, uint64_t longest);

  // None if `limit` is reached, or all regions of that size are taken.
  std::optional<Region> take(uint64_t bytes);
  void give_back(const Region& region);
  // The same for a region whose pages sockets may still have: the next body gets new pages.
  void give_back_without_pages(const Region& region);
  // Returns the pages of regions that have been free since the last call but one.
  void trim();
  // Returns pages of free regions until at most `bytes` are held, or no region is free.
  void shrink_to(uint64_t bytes);

  char* memory_of(const Region& region) const { return memory_ + offset_of(region); }
  uint64_t offset_of(const Region& region) const;  // from the beginning of the worker's range
  uint64_t held() const { return held_; }          // bytes
  // The bytes that a region holds: a recycled one has the pages of its largest body.
  uint64_t held_by(const Region& region) const;
  uint64_t limit() const { return limit_; }

 private:
  struct Class {
    uint64_t stride;                   // bytes of one region
    uint64_t begin;                    // offset of the first
    std::vector<uint32_t> pages;       // that each region holds; grows with use
    std::vector<uint32_t> free;        // the last one was given back last
    std::vector<uint64_t> freed_turn;  // of each region
    uint32_t most;
  };

  bool reserve(uint64_t bytes);
  bool exceeds_limit() const;
  uint64_t reclaim(uint64_t bytes);
  void return_pages(Class& of, uint32_t number);
  void set_held(uint64_t bytes);

  CacheSeat& seat_;
  char* const memory_;
  const uint64_t limit_;
  std::array<Class, 3> classes_;
  uint64_t held_ = 0;
  uint64_t turn_ = 0;
};

}  // namespace streamgate
