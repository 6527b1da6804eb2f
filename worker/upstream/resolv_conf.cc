#include "worker/upstream/resolv_conf.h"

#include <algorithm>
#include <charconv>

#include "common/ascii.h"

namespace streamgate {
namespace {

constexpr uint16_t kDnsPort = 53;
constexpr size_t kMaxNameBytes = 253;  // RFC 1035 2.3.4, as text

void add_server(std::string_view word, std::vector<SocketAddress>& servers) {
  if (servers.size() == ResolvConf::kMaxServers) return;
  if (const auto address = IpAddress::parse(word)) {
    servers.emplace_back(*address, kDnsPort);
  } else if (const auto with_port = SocketAddress::parse(word);
             with_port && with_port->is_ip() && with_port->port() != 0) {
    servers.push_back(*with_port);
  }
}

std::vector<std::string> parse_domains(std::string_view line) {
  std::vector<std::string> domains;
  for (auto word = ascii::take_word(line); !word.empty(); word = ascii::take_word(line)) {
    while (word.starts_with('.')) word.remove_prefix(1);
    while (word.ends_with('.')) word.remove_suffix(1);
    if (!word.empty() && domains.size() < ResolvConf::kMaxSearchDomains) {
      domains.push_back(ascii::lower(word));
    }
  }
  return domains;
}

unsigned parse_ndots(std::string_view line, unsigned ndots) {
  constexpr std::string_view kOption = "ndots:";
  for (auto word = ascii::take_word(line); !word.empty(); word = ascii::take_word(line)) {
    if (!word.starts_with(kOption)) continue;
    unsigned value = 0;
    const auto end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data() + kOption.size(), end, value);
    if (error == std::errc() && stop == end) ndots = std::min(value, ResolvConf::kMaxDots);
  }
  return ndots;
}

}  // namespace

ResolvConf ResolvConf::parse(std::string_view text) {
  ResolvConf conf;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find_first_of("#;"));
    const std::string_view keyword = ascii::take_word(line);
    if (keyword == "nameserver") add_server(ascii::take_word(line), conf.servers);
    // Of several lines the last one counts (resolv.conf(5)).
    if (keyword == "search") conf.search = parse_domains(line);
    if (keyword == "domain") conf.search = parse_domains(ascii::take_word(line));
    if (keyword == "options") conf.ndots = parse_ndots(line, conf.ndots);
  }
  if (conf.servers.empty()) conf.servers.emplace_back(*IpAddress::parse("127.0.0.1"), kDnsPort);
  return conf;
}

std::vector<std::string> ResolvConf::candidates(const std::string& host) const {
  std::vector<std::string> names;
  const bool as_it_is_first = std::count(host.begin(), host.end(), '.') >= ndots;
  if (as_it_is_first) names.push_back(host);
  for (const std::string& domain : search) {
    if (host.size() + 1 + domain.size() <= kMaxNameBytes) names.push_back(host + "." + domain);
  }
  if (!as_it_is_first) names.push_back(host);
  return names;
}

}  // namespace streamgate
