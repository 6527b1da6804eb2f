// The URLs of one link, in the order in which they are tried: first the URL that the link stays
// with, then the others in the order of the link. URLs whose origin is down come last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/url.h"
#include "worker/fetch/origin_marks.h"

namespace streamgate {

class Failover {
 public:
  static constexpr size_t kMaxUrls = 4;  // `url` and three of sg_alt

  // `urls` has 2 to kMaxUrls URLs, in the order of the link. `marks` outlives it.
  Failover(std::vector<UpstreamUrl> urls, OriginMarks& marks);

  const HttpUrl& first() const { return urls_.front().url; }  // of the link
  const UpstreamUrl& current() const { return urls_[order_[place_]]; }
  bool is_at_first() const { return order_[place_] == 0; }  // current() is first()
  // Goes to the next URL. False: all have been tried.
  bool advance();
  // Begins again with the first URL, in the order that the current marks give.
  void begin_round();
  // The current URL has answered: the link stays with it.
  void on_answer();

 private:
  std::vector<UpstreamUrl> urls_;
  std::vector<unsigned> order_;  // indices of urls_
  size_t place_ = 0;
  OriginMarks& marks_;
  uint64_t link_;  // the key of the link's mark
};

}  // namespace streamgate
