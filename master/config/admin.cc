#include "master/config/admin.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/ascii.h"
#include "common/result.h"
#include "master/config/values.h"

namespace streamgate {
namespace {

constexpr std::string_view kListen = "admin.listen";
constexpr std::string_view kToken = "admin.token";
constexpr std::string_view kHosts = "admin.hosts";
constexpr std::string_view kOff = "off";

void refuse(const ConfigNode& node, std::string_view path, const std::string& sentence,
            ConfigProblems& problems) {
  problems.push_back({node.line, std::string(path) + ": " + sentence});
}

// Calls `take` with each item of a list; a single value needs no brackets.
template <class Take>
void for_each_item(const ConfigNode& node, std::string_view path, ConfigProblems& problems,
                   const Take& take) {
  using Kind = ConfigNode::Kind;
  if (node.kind == Kind::map || node.kind == Kind::null) {
    return refuse(node, path, "needs a list; [] is the empty one", problems);
  }
  const std::vector<ConfigNode> items =
      node.kind == Kind::list ? node.items : std::vector<ConfigNode>{node};
  for (const ConfigNode& item : items) {
    if (item.kind != Kind::scalar) {
      refuse(item, path, "takes single values, not a list or a section", problems);
    } else if (auto taken = take(item.text); !taken) {
      refuse(item, path, taken.error().detail, problems);
    }
  }
}

void set_listen(const ConfigNode& node, Config& config, ConfigProblems& problems) {
  config.admin.listen.clear();
  if (node.kind == ConfigNode::Kind::scalar && node.text == kOff) return;
  for_each_item(node, kListen, problems, [&](const std::string& text) -> Result<void> {
    auto address = SocketAddress::parse(text);
    if (!address) return address.error();
    config.admin.listen.push_back(*address);
    return {};
  });
}

std::string print_listen(const Config& config) {
  const std::vector<SocketAddress>& addresses = config.admin.listen;
  if (addresses.empty()) return std::string(kOff);
  if (addresses.size() == 1) return yaml_text(addresses.front().to_string());
  std::vector<std::string> texts;
  for (const SocketAddress& address : addresses) texts.push_back(address.to_string());
  return yaml_list(texts);
}

// The characters of RFC 6750 2.1, so that every token can be sent in Authorization.
bool is_bearer_token(std::string_view text) {
  const size_t end = std::min(text.find_last_not_of('=') + 1, text.size());
  return end > 0 &&
         std::all_of(text.begin(), text.begin() + static_cast<ptrdiff_t>(end), [](char c) {
           return ascii::is_alpha(c) || ascii::is_digit(c) ||
                  std::string_view("-._~+/").find(c) != std::string_view::npos;
         });
}

void set_token(const ConfigNode& node, Config& config, ConfigProblems& problems) {
  config.admin.token = {};
  if (node.kind == ConfigNode::Kind::null) return;
  if (node.kind != ConfigNode::Kind::scalar) {
    return refuse(node, kToken, "takes one value, not a list or a section", problems);
  }
  if (node.text.empty()) return;
  // The problem does not contain the text, which may be a secret with one wrong character.
  if (!is_bearer_token(node.text)) {
    return refuse(node, kToken,
                  "takes letters, digits and - . _ ~ + /, then any number of =; `openssl rand -hex "
                  "32` makes one",
                  problems);
  }
  config.admin.token = Secret(node.text);
}

std::string print_token(const Config& config) {
  const std::string_view token = config.admin.token.view();
  return token.empty() ? std::string() : yaml_text(token);
}

std::string show_token(const Config& config) {
  return config.admin.token.empty() ? "" : "\"(hidden)\"";
}

Result<std::string> parse_host(std::string_view text) {
  const bool is_name = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) || c == '.' || c == '-' || c == '_';
  });
  if (is_name) return ascii::lower(text);
  return Error{Reason::bad_request,
               "'" + std::string(text) + "' is not a host name: write it without scheme and port"};
}

void set_hosts(const ConfigNode& node, Config& config, ConfigProblems& problems) {
  config.admin.hosts.clear();
  for_each_item(node, kHosts, problems, [&](const std::string& text) -> Result<void> {
    auto host = parse_host(text);
    if (!host) return host.error();
    config.admin.hosts.push_back(*std::move(host));
    return {};
  });
}

std::string print_hosts(const Config& config) { return yaml_list(config.admin.hosts); }

// Only users of this machine can connect.
bool is_local(const SocketAddress& address) {
  if (!address.is_ip()) return true;
  const auto& ranges = loopback_ranges();
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const IpRange& range) { return range.contains(address.ip()); });
}

}  // namespace

std::vector<ConfigKey> admin_keys() {
  return {{.path = std::string(kListen), .set = set_listen, .print = print_listen, .is_list = true},
          {.path = std::string(kToken),
           .set = set_token,
           .print = print_token,
           .may_hold_secret = true,
           .show = show_token},
          {.path = std::string(kHosts), .set = set_hosts, .print = print_hosts, .is_list = true}};
}

void check_admin_rules(const Config& config, const ConfigLines& lines, ConfigProblems& problems) {
  const int line = line_of(lines, kListen);
  const auto report = [&](const std::string& sentence) {
    problems.push_back({line, std::string(kListen) + ": " + sentence});
  };
  std::vector<SocketAddress> others;
  for (const ListenConfig& entry : config.listen) others.push_back(entry.address);
  for (const SocketAddress& address : config.admin.listen) {
    for (const SocketAddress& other : others) {
      if (overlap(address, other)) {
        report(address.to_string() + " and " + other.to_string() + " overlap");
      }
    }
    others.push_back(address);
    if (!is_local(address) && config.admin.token.empty()) {
      report(address.to_string() + " can be reached from other machines; set admin.token");
    }
  }
}

}  // namespace streamgate
