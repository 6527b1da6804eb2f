// Answers by name until their TTL ends. A member of Resolver.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "worker/upstream/dns_question.h"
#include "worker/upstream/hosts_file.h"

namespace streamgate {

class NameCache {
 public:
  struct Kept {
    ResolvedName name;
    std::optional<Error> failure;  // the name does not exist or has no address
    int64_t expires_ms;
    // From then on a use should begin a question, so that later uses need not wait for one.
    int64_t refresh_ms = INT64_MAX;
  };

  static constexpr size_t kMaxNames = 4096;

  // nullptr if there is no answer or its TTL has ended. Valid until the next call.
  Kept* find(std::string_view name, int64_t now_ms);

  // Replaces the answer for `name`. Addresses of other names are never evicted for it: if the cache
  // is full of them, the answer is not kept. `ttl_ms` is clamped to 1 s to 300 s.
  void keep(const std::string& name, const ResolvedName& found, int64_t ttl_ms, int64_t now_ms);
  // For 5 s. Addresses whose TTL has not ended stay.
  void keep_failure(const std::string& name, const Error& failure, int64_t now_ms);

  size_t size() const { return names_.size(); }

 private:
  void put(const std::string& name, Kept kept, int64_t now_ms);
  bool make_room(int64_t now_ms);

  NameMap<Kept> names_;
  int64_t next_sweep_ms_ = 0;
};

}  // namespace streamgate
