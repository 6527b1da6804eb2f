// Parses and prints single values of the configuration: durations, sizes, counts, header policies,
// URLs. Every error is Reason::bad_request and says how to write the value. Each print_* returns
// YAML that its parse_* reads. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/ip_address.h"
#include "common/result.h"

namespace streamgate {

// `500ms`, `30s`, `5m`, `2h`, `7d`, `0s`; a unit is required.
Result<Milliseconds> parse_duration(std::string_view text);
std::string print_duration(Milliseconds duration);

// `16384B`, `256KiB`, `1MiB`, `1GiB`; a unit is required.
Result<size_t> parse_size(std::string_view text);
std::string print_size(size_t bytes);

// Bytes a second: 0, or 4KiB to 1GiB.
Result<size_t> parse_bandwidth(std::string_view text);

// The largest values of limits for one client, token or key.
constexpr unsigned kMaxStreamsOfClient = 60'000;
constexpr unsigned kMaxRequestRate = 100'000;  // a second

Result<uint64_t> parse_count(std::string_view text);
Result<bool> parse_bool(std::string_view text);

// `browser` is allowed for the User-Agent only, `target` for Referer and Origin only.
enum class PolicyHeader { user_agent, referer_or_origin };
Result<HeaderPolicy> parse_header_policy(std::string_view text, PolicyHeader header);
std::string print_header_policy(const HeaderPolicy& policy);

// An http(s) URL with an optional path, without query and fragment. Slashes at its end are removed.
Result<std::string> parse_public_url(std::string_view text);

// Empty, or an absolute path: a relative one would depend on where the service was started.
Result<std::string> parse_path(std::string_view text);

// One entry of a list of addresses: a range, or `loopback` or `private` for several ranges.
Result<std::vector<IpRange>> parse_ranges(std::string_view text);
std::vector<std::string> print_ranges(const std::vector<IpRange>& ranges);

// A text as a YAML scalar, in double quotes unless it is safe without.
std::string yaml_text(std::string_view text);
// A YAML list on one line. It quotes the items.
std::string yaml_list(const std::vector<std::string>& items);

}  // namespace streamgate
