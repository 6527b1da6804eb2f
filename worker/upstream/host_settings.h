// The settings for one upstream host: upstream.hosts over the global ones. For each field the most
// specific matching row that has it decides; `headers` are merged by name.
//
// From the most to the least specific: a name or an address; a block, the smaller one first; a
// suffix, the longer one first; a port alone. Of two otherwise equal rows, the row with a port is
// more specific.
// Addresses and blocks match hosts that are written as addresses, not the addresses of a name.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/config.h"
#include "common/url.h"

namespace streamgate {

struct HostSettings {
  UpstreamConfig config;  // the fields of the rows applied; its `hosts` are empty
  std::vector<std::pair<std::string, std::string>> headers = {};  // request fields

  bool uses_proxy() const { return config.proxy.kind != ProxyAddress::Kind::none; }
  // The proxy resolves the names of upstreams.
  bool resolves_remotely() const {
    return uses_proxy() && (config.resolve == ResolveNames::remote || config.proxy.resolves_names);
  }
  // The request goes to the proxy itself, with the whole URL in its first line (RFC 9112 3.2.2).
  bool sends_absolute_form(const HttpUrl& url) const {
    return !url.is_https && config.proxy.kind == ProxyAddress::Kind::http && resolves_remotely();
  }
};

// One per worker.
class HostTable {
 public:
  explicit HostTable(const UpstreamConfig& config) : HostTable(config, {}) {}
  // Of two rows that are equally specific, the one of `rows` wins over the one of `config`.
  HostTable(const UpstreamConfig& config, std::vector<UpstreamHost> rows);
  HostTable(const HostTable&) = delete;
  HostTable& operator=(const HostTable&) = delete;

  // The same object for all hosts that the same rows match; it lives as long as the table.
  const HostSettings& of(const HttpUrl& url) { return rows_.empty() ? global_ : find(url); }

 private:
  const HostSettings& find(const HttpUrl& url);
  std::unique_ptr<HostSettings> merge(const std::vector<uint16_t>& matching) const;

  std::vector<UpstreamHost> rows_;  // the most specific first
  HostSettings global_;
  // By the indexes of the matching rows, so the configuration bounds their number, not the hosts
  // that clients request.
  std::map<std::vector<uint16_t>, std::unique_ptr<HostSettings>> merged_;
  std::vector<uint16_t> matching_;  // kept for its memory
};

// The tables of the keys of tokens that have hosts of their own. One per worker. `keys` outlives
// it.
class KeyHosts {
 public:
  KeyHosts(const UpstreamConfig& config, const std::vector<TokenKey>& keys);

  // `key` is one of `keys`. Null: it has no hosts of its own.
  HostTable* of(const TokenKey& key) const;

 private:
  std::map<const TokenKey*, std::unique_ptr<HostTable>> tables_;
};

}  // namespace streamgate
