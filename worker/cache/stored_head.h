// The head of a shared answer with what the exchange needs to know of its fetch, and its text in
// the body file. Another worker may have written the text, so it is checked when it is read.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/url.h"
#include "worker/http/message.h"

namespace streamgate {

struct FetchFacts {
  HttpUrl url;  // of the last hop
  bool left_origin = false;
  bool is_redirected = false;
  std::string authorization = {};         // of a redirect with userinfo
  std::string cookies_for_children = {};  // as a link has them
  int64_t age_from_ms = 0;                // CLOCK_MONOTONIC: when the answer was as old as its Age
};

struct StoredHead {
  std::string text;   // the fields of `head` point into it
  ResponseHead head;  // framing and content_length are those of the whole body
  FetchFacts facts;

  StoredHead() = default;
  StoredHead(const StoredHead&) = delete;
  StoredHead& operator=(const StoredHead&) = delete;
};

// Whether two answers have the same body: the same length and a strong validator, or without one
// the same date of change.
bool have_same_body(const StoredHead& one, const StoredHead& other);

std::string print_head(const ResponseHead& head, const FetchFacts& facts);
// Null if the text is not one of print_head().
std::unique_ptr<StoredHead> parse_head(std::string_view text);

// The same for the failure of a shared fetch.
std::string print_failure(const Error& error);
Error parse_failure(std::string_view text);

}  // namespace streamgate
