// The head of a shared answer for one client: its range, its conditions, and the age. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/cache/stored_head.h"
#include "worker/fetch/fetch_request.h"
#include "worker/http/message.h"

namespace streamgate {

// Whether the request has a range or a condition, so that the client may need less than the whole
// body. `bytes=0-` does not count: players send it to test whether ranges work.
bool may_ask_for_less(const std::vector<ForwardedField>& forwarded);

struct AnswerForClient {
  ResponseHead head;  // its fields point into the stored head, and into these texts
  std::string age;
  std::string content_range;
  // The bytes of the body that follow.
  uint64_t first = 0;
  uint64_t end = 0;
};

// with: the Range of the client counts. without: it gets the whole.
enum class Ranges { with, without };

// `stored` outlives the answer. `age_seconds`: since it was as old as its Age; negative: no Age is
// added.
std::unique_ptr<AnswerForClient> answer_for_client(const StoredHead& stored,
                                                   const std::vector<ForwardedField>& forwarded,
                                                   Ranges ranges, int64_t age_seconds);

}  // namespace streamgate
