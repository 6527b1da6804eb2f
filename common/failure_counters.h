// How many exchanges failed for which Reason: one counter each, so that the scoreboard tells an
// operator what is wrong without his reading the access log. The members are written by worker
// processes, read by anyone; see scoreboard.h, which makes them part of Counters.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "common/result.h"

namespace streamgate {

// Members, not an array: every counter is reached by a pointer to member, whatever it counts.
struct FailureCounters {
  std::atomic<uint64_t> failed_bad_request{0};
  std::atomic<uint64_t> failed_bad_url{0};
  std::atomic<uint64_t> failed_not_found{0};
  std::atomic<uint64_t> failed_method_not_allowed{0};
  std::atomic<uint64_t> failed_request_timeout{0};
  std::atomic<uint64_t> failed_body_not_accepted{0};
  std::atomic<uint64_t> failed_uri_too_long{0};
  std::atomic<uint64_t> failed_expectation_failed{0};
  std::atomic<uint64_t> failed_header_too_large{0};
  std::atomic<uint64_t> failed_not_implemented{0};
  std::atomic<uint64_t> failed_version_not_supported{0};
  std::atomic<uint64_t> failed_target_forbidden{0};
  std::atomic<uint64_t> failed_loop{0};
  std::atomic<uint64_t> failed_client_gone{0};
  std::atomic<uint64_t> failed_client_stalled{0};
  std::atomic<uint64_t> failed_client_too_slow{0};
  std::atomic<uint64_t> failed_dns_failed{0};
  std::atomic<uint64_t> failed_dns_timeout{0};
  std::atomic<uint64_t> failed_connect_failed{0};
  std::atomic<uint64_t> failed_connect_timeout{0};
  std::atomic<uint64_t> failed_tls_failed{0};
  std::atomic<uint64_t> failed_first_byte_timeout{0};
  std::atomic<uint64_t> failed_bad_response{0};
  std::atomic<uint64_t> failed_unsupported_coding{0};
  std::atomic<uint64_t> failed_too_many_redirects{0};
  std::atomic<uint64_t> failed_truncated_body{0};
  std::atomic<uint64_t> failed_idle_timeout{0};
  std::atomic<uint64_t> failed_upstream_too_slow{0};
  std::atomic<uint64_t> failed_overloaded{0};
  std::atomic<uint64_t> failed_stopping{0};
  std::atomic<uint64_t> failed_internal{0};
};

struct FailureCounterInfo {
  std::string_view name;  // `failed_` and the reason's token
  std::atomic<uint64_t> FailureCounters::*member;
};

// In the order of Reason (a test holds the names against the tokens).
constexpr std::array<FailureCounterInfo, kReasonCount> kFailureCounters{{
    {"failed_bad_request", &FailureCounters::failed_bad_request},
    {"failed_bad_url", &FailureCounters::failed_bad_url},
    {"failed_not_found", &FailureCounters::failed_not_found},
    {"failed_method_not_allowed", &FailureCounters::failed_method_not_allowed},
    {"failed_request_timeout", &FailureCounters::failed_request_timeout},
    {"failed_body_not_accepted", &FailureCounters::failed_body_not_accepted},
    {"failed_uri_too_long", &FailureCounters::failed_uri_too_long},
    {"failed_expectation_failed", &FailureCounters::failed_expectation_failed},
    {"failed_header_too_large", &FailureCounters::failed_header_too_large},
    {"failed_not_implemented", &FailureCounters::failed_not_implemented},
    {"failed_version_not_supported", &FailureCounters::failed_version_not_supported},
    {"failed_target_forbidden", &FailureCounters::failed_target_forbidden},
    {"failed_loop", &FailureCounters::failed_loop},
    {"failed_client_gone", &FailureCounters::failed_client_gone},
    {"failed_client_stalled", &FailureCounters::failed_client_stalled},
    {"failed_client_too_slow", &FailureCounters::failed_client_too_slow},
    {"failed_dns_failed", &FailureCounters::failed_dns_failed},
    {"failed_dns_timeout", &FailureCounters::failed_dns_timeout},
    {"failed_connect_failed", &FailureCounters::failed_connect_failed},
    {"failed_connect_timeout", &FailureCounters::failed_connect_timeout},
    {"failed_tls_failed", &FailureCounters::failed_tls_failed},
    {"failed_first_byte_timeout", &FailureCounters::failed_first_byte_timeout},
    {"failed_bad_response", &FailureCounters::failed_bad_response},
    {"failed_unsupported_coding", &FailureCounters::failed_unsupported_coding},
    {"failed_too_many_redirects", &FailureCounters::failed_too_many_redirects},
    {"failed_truncated_body", &FailureCounters::failed_truncated_body},
    {"failed_idle_timeout", &FailureCounters::failed_idle_timeout},
    {"failed_upstream_too_slow", &FailureCounters::failed_upstream_too_slow},
    {"failed_overloaded", &FailureCounters::failed_overloaded},
    {"failed_stopping", &FailureCounters::failed_stopping},
    {"failed_internal", &FailureCounters::failed_internal},
}};

inline std::atomic<uint64_t>& failures_of(FailureCounters& counters, Reason reason) {
  return counters.*kFailureCounters[static_cast<size_t>(reason)].member;
}

}  // namespace streamgate
