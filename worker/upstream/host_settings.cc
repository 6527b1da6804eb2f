#include "worker/upstream/host_settings.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "common/ascii.h"

namespace streamgate {
namespace {

using Kind = TargetPattern::Kind;

// Larger for a more specific pattern.
std::tuple<int, size_t, bool> specificity(const TargetPattern& pattern) {
  const bool has_port = pattern.port.has_value();
  switch (pattern.kind) {
    case Kind::host:
      return {3, 0, has_port};
    case Kind::range:
      return {2, pattern.range.prefix_bits, has_port};
    case Kind::suffix:
      return {1, pattern.name.size(), has_port};
    case Kind::any_host:
      break;
  }
  return {0, 0, has_port};
}

UpstreamConfig without_rows(UpstreamConfig config) {
  config.hosts.clear();
  config.tls.insecure_hosts.clear();
  return config;
}

template <class T>
void set_if_given(T& field, const std::optional<T>& value) {
  if (value) field = *value;
}

void apply(const UpstreamHost& row, HostSettings& settings) {
  UpstreamConfig& config = settings.config;
  set_if_given(config.user_agent, row.user_agent);
  set_if_given(config.referer, row.referer);
  set_if_given(config.origin, row.origin);
  set_if_given(config.proxy, row.proxy);
  set_if_given(config.resolve, row.resolve);
  set_if_given(config.tls.verify, row.verify);
  set_if_given(config.tls.ca_file, row.ca_file);
  set_if_given(config.max_connections, row.max_connections);
  set_if_given(config.max_connections_by, row.max_connections_by);
  set_if_given(config.reconnect, row.reconnect);
  set_if_given(config.first_byte_timeout, row.first_byte_timeout);
  for (const auto& header : row.headers) {
    const auto same =
        std::find_if(settings.headers.begin(), settings.headers.end(),
                     [&](const auto& other) { return ascii::iequals(other.first, header.first); });
    if (same == settings.headers.end()) {
      settings.headers.push_back(header);
    } else {
      *same = header;
    }
  }
}

}  // namespace

HostTable::HostTable(const UpstreamConfig& config, std::vector<UpstreamHost> rows)
    : rows_(std::move(rows)), global_{without_rows(config)} {
  rows_.insert(rows_.end(), config.hosts.begin(), config.hosts.end());
  for (const TargetPattern& pattern : config.tls.insecure_hosts) {
    rows_.push_back({.pattern = pattern, .verify = false});
  }
  // Stable: of equal patterns, a row of `hosts` comes before one of `insecure_hosts` and wins.
  std::stable_sort(rows_.begin(), rows_.end(), [](const UpstreamHost& a, const UpstreamHost& b) {
    return specificity(a.pattern) > specificity(b.pattern);
  });
}

const HostSettings& HostTable::find(const HttpUrl& url) {
  const auto literal = IpAddress::parse(url.host);
  matching_.clear();
  for (size_t i = 0; i < rows_.size(); ++i) {
    const TargetPattern& pattern = rows_[i].pattern;
    if (pattern.matches_host(url.host, url.port) ||
        (literal && pattern.matches_address(*literal, url.port))) {
      matching_.push_back(static_cast<uint16_t>(i));
    }
  }
  if (matching_.empty()) return global_;
  auto& merged = merged_[matching_];
  if (!merged) merged = merge(matching_);
  return *merged;
}

std::unique_ptr<HostSettings> HostTable::merge(const std::vector<uint16_t>& matching) const {
  auto settings = std::make_unique<HostSettings>(global_);
  for (auto row = matching.rbegin(); row != matching.rend(); ++row) apply(rows_[*row], *settings);
  return settings;
}

KeyHosts::KeyHosts(const UpstreamConfig& config, const std::vector<TokenKey>& keys) {
  for (const TokenKey& key : keys) {
    if (!key.hosts.empty()) tables_[&key] = std::make_unique<HostTable>(config, key.hosts);
  }
}

HostTable* KeyHosts::of(const TokenKey& key) const {
  const auto found = tables_.find(&key);
  return found == tables_.end() ? nullptr : found->second.get();
}

}  // namespace streamgate
