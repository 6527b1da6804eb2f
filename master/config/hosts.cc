#include "master/config/hosts.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "common/ascii.h"
#include "common/reserved_fields.h"
#include "master/config/values.h"

namespace streamgate {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kKey = "upstream.hosts";
constexpr std::string_view kFields =
    "user_agent, referer, origin, headers, proxy, resolve, verify, ca_file, max_connections, "
    "max_connections_by, reconnect and first_byte_timeout";
constexpr unsigned kMaxConnections = 100'000;
constexpr size_t kMaxHeaders = 32;

template <class Enum, size_t N>
using Words = std::array<std::pair<std::string_view, Enum>, N>;

constexpr Words<ResolveNames, 2> kResolveWords{
    {{"local", ResolveNames::local}, {"remote", ResolveNames::remote}}};
constexpr Words<ConnectionsBy, 2> kConnectionsByWords{
    {{"origin", ConnectionsBy::origin}, {"account", ConnectionsBy::account}}};
constexpr Words<Reconnect, 3> kReconnectWords{
    {{"links", Reconnect::links}, {"always", Reconnect::always}, {"never", Reconnect::never}}};

template <class Enum, size_t N>
Result<Enum> parse_word(std::string_view text, const Words<Enum, N>& words) {
  std::string known;
  for (const auto& [name, value] : words) {
    if (name == text) return value;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  return Error{Reason::bad_request, "'" + std::string(text) + "' is not one of " + known};
}

template <class Enum, size_t N>
std::string print_word(Enum wanted, const Words<Enum, N>& words) {
  for (const auto& [name, value] : words) {
    if (value == wanted) return std::string(name);
  }
  return {};
}

// Fields that have a setting of their own.
std::string_view setting_for(std::string_view field) {
  if (ascii::iequals(field, "User-Agent")) return "user_agent";
  if (ascii::iequals(field, "Referer")) return "referer";
  if (ascii::iequals(field, "Origin")) return "origin";
  return {};
}

// A token of RFC 9110 5.6.2.
bool is_field_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool is_field_value(std::string_view text) {
  return ascii::trim(text) == text &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

// Reads the table and collects its problems.
class HostsReader {
 public:
  HostsReader(std::string path, ConfigProblems& problems)
      : path_(std::move(path)), problems_(problems) {}

  std::vector<UpstreamHost> read(const ConfigNode& node) {
    std::vector<UpstreamHost> rows;
    if (node.kind == ConfigNode::Kind::null) return rows;
    if (node.kind != ConfigNode::Kind::map) {
      refuse(node, path_, "needs patterns with their settings; {} is none");
      return rows;
    }
    for (const ConfigNode& item : node.items) read_row(item, rows);
    return rows;
  }

 private:
  void refuse(const ConfigNode& node, const std::string& path, const std::string& sentence) {
    problems_.push_back({node.line, path + ": " + sentence});
  }

  void read_row(const ConfigNode& item, std::vector<UpstreamHost>& rows) {
    const std::string path = path_ + "." + item.key;
    const auto pattern = TargetPattern::parse(item.key);
    if (!pattern) return refuse(item, path_, pattern.error().detail);
    const bool is_repeated = std::any_of(
        rows.begin(), rows.end(), [&](const UpstreamHost& row) { return row.pattern == *pattern; });
    if (is_repeated) return refuse(item, path, "is set twice");
    if (item.kind != ConfigNode::Kind::map) {
      return refuse(item, path, "needs settings: " + std::string(kFields));
    }
    rows.push_back({*pattern});
    for (const ConfigNode& setting : item.items) {
      read_setting(setting, path + "." + setting.key, rows.back());
    }
  }

  void read_setting(const ConfigNode& node, const std::string& path, UpstreamHost& row) {
    if (node.key == "headers") return read_headers(node, path, row);
    if (node.key == "ca_file" && path_ != kKey) {
      return refuse(node, path, "is possible in upstream.hosts only");
    }
    // An empty ca_file means the system's authorities.
    if (node.key == "ca_file" && node.kind == ConfigNode::Kind::null) {
      row.ca_file.emplace();
      return;
    }
    if (node.kind != ConfigNode::Kind::scalar) {
      return refuse(node, path,
                    node.kind == ConfigNode::Kind::null
                        ? "needs a value"
                        : "takes one value, not a list or a section");
    }
    if (auto read = read_value(node.key, node.text, row); !read) {
      refuse(node, path, read.error().detail);
    }
  }

  static Result<void> read_value(std::string_view key, std::string_view text, UpstreamHost& row) {
    if (key == "user_agent") {
      return put(parse_header_policy(text, PolicyHeader::user_agent), row.user_agent);
    }
    if (key == "referer") {
      return put(parse_header_policy(text, PolicyHeader::referer_or_origin), row.referer);
    }
    if (key == "origin") {
      return put(parse_header_policy(text, PolicyHeader::referer_or_origin), row.origin);
    }
    if (key == "proxy") return put(ProxyAddress::parse(text), row.proxy);
    if (key == "resolve") return put(parse_word(text, kResolveWords), row.resolve);
    if (key == "verify") return put(parse_bool(text), row.verify);
    if (key == "ca_file") return put(parse_path(text), row.ca_file);
    if (key == "max_connections") return put(parse_connections(text), row.max_connections);
    if (key == "max_connections_by") {
      return put(parse_word(text, kConnectionsByWords), row.max_connections_by);
    }
    if (key == "reconnect") return put(parse_word(text, kReconnectWords), row.reconnect);
    if (key == "first_byte_timeout") return put(parse_timeout(text), row.first_byte_timeout);
    return Error{Reason::bad_request, "is not a known setting; a host has " + std::string(kFields)};
  }

  template <class T>
  static Result<void> put(Result<T> value, std::optional<T>& field) {
    if (!value) return std::move(value).error();
    field = *std::move(value);
    return {};
  }

  static Result<unsigned> parse_connections(std::string_view text) {
    const auto value = parse_count(text);
    if (!value) return value.error();
    if (*value > kMaxConnections) {
      return Error{Reason::bad_request, std::string(text) + " is out of range: 0 to 100000"};
    }
    return static_cast<unsigned>(*value);
  }

  static Result<Milliseconds> parse_timeout(std::string_view text) {
    auto value = parse_duration(text);
    if (value && (*value < 1ms || *value > 1h)) {
      return Error{Reason::bad_request, std::string(text) + " is out of range: 1ms to 1h"};
    }
    return value;
  }

  void read_headers(const ConfigNode& node, const std::string& path, UpstreamHost& row) {
    if (node.kind != ConfigNode::Kind::map) {
      return refuse(node, path, "needs names and values; {} is none");
    }
    for (const ConfigNode& item : node.items) {
      const std::string sentence = problem_of_header(item, row);
      if (!sentence.empty()) {
        refuse(item, path + "." + item.key, sentence);
        continue;
      }
      row.headers.emplace_back(item.key, item.text);
    }
  }

  static std::string problem_of_header(const ConfigNode& item, const UpstreamHost& row) {
    if (!is_field_name(item.key)) return "is not the name of a header";
    if (is_reserved_field(item.key)) return "is a header that the proxy itself sets";
    if (const auto setting = setting_for(item.key); !setting.empty()) {
      return "has a setting of its own: " + std::string(setting);
    }
    if (item.kind != ConfigNode::Kind::scalar || !is_field_value(item.text)) {
      return "needs a value of printable ASCII without blanks at its ends";
    }
    if (std::any_of(row.headers.begin(), row.headers.end(),
                    [&](const auto& header) { return ascii::iequals(header.first, item.key); })) {
      return "is set twice";
    }
    return row.headers.size() < kMaxHeaders ? std::string() : "is one too many: at most 32 headers";
  }

  const std::string path_;
  ConfigProblems& problems_;
};

std::string print_headers(const UpstreamHost& row) {
  std::string out = "{";
  for (const auto& [name, value] : row.headers) {
    if (out.size() > 1) out += ", ";
    out += yaml_text(name) + ": " + yaml_text(value);
  }
  return out + "}";
}

std::string print_row(const UpstreamHost& row) {
  std::string out;
  const auto add = [&out](std::string_view name, const std::string& value) {
    out += (out.empty() ? "" : ", ") + std::string(name) + ": " + value;
  };
  if (row.user_agent) add("user_agent", print_header_policy(*row.user_agent));
  if (row.referer) add("referer", print_header_policy(*row.referer));
  if (row.origin) add("origin", print_header_policy(*row.origin));
  if (!row.headers.empty()) add("headers", print_headers(row));
  if (row.proxy) add("proxy", yaml_text(row.proxy->to_string()));
  if (row.resolve) add("resolve", print_word(*row.resolve, kResolveWords));
  if (row.verify) add("verify", *row.verify ? "true" : "false");
  if (row.ca_file) add("ca_file", yaml_text(*row.ca_file));
  if (row.max_connections) add("max_connections", std::to_string(*row.max_connections));
  if (row.max_connections_by) {
    add("max_connections_by", print_word(*row.max_connections_by, kConnectionsByWords));
  }
  if (row.reconnect) add("reconnect", print_word(*row.reconnect, kReconnectWords));
  if (row.first_byte_timeout) add("first_byte_timeout", print_duration(*row.first_byte_timeout));
  return yaml_text(row.pattern.to_string()) + ": {" + out + "}";
}

bool is_proxy(const ProxyAddress& proxy) { return proxy.kind != ProxyAddress::Kind::none; }

}  // namespace

std::vector<UpstreamHost> read_hosts(const ConfigNode& node, const std::string& path,
                                     ConfigProblems& problems) {
  return HostsReader(path, problems).read(node);
}

std::string print_hosts(const std::vector<UpstreamHost>& rows) {
  std::string out = "{";
  for (const UpstreamHost& row : rows) {
    if (out.size() > 1) out += ", ";
    out += print_row(row);
  }
  return out + "}";
}

ConfigKey hosts_key() {
  return {std::string(kKey),
          [](const ConfigNode& node, Config& config, ConfigProblems& problems) {
            config.upstream.hosts = read_hosts(node, std::string(kKey), problems);
          },
          [](const Config& config) { return print_hosts(config.upstream.hosts); }};
}

void check_proxy_rules(const Config& config, const ConfigLines& lines, ConfigProblems& problems) {
  const UpstreamConfig& upstream = config.upstream;
  const auto has_proxies = [](const std::vector<UpstreamHost>& rows) {
    return std::any_of(rows.begin(), rows.end(),
                       [](const UpstreamHost& row) { return row.proxy && is_proxy(*row.proxy); });
  };
  // Rows are merged, so the proxy and `resolve` of one host may be in different rows.
  bool has_proxy = is_proxy(upstream.proxy) || has_proxies(upstream.hosts);
  bool is_limited = !config.security.allow.empty();
  const auto check = [&](const std::string& path, int line, const ProxyAddress& proxy,
                         ResolveNames resolve) {
    if (!proxy.resolves_names && resolve == ResolveNames::local) return;
    if (!has_proxy) {
      problems.push_back({line, path + ": `resolve: remote` needs a proxy"});
    } else if (!is_limited) {
      problems.push_back({line, path + ": the proxy resolves names, so their addresses are not "
                                       "checked here; list the allowed hosts in security.allow"});
    }
  };
  check("upstream.proxy",
        std::max(line_of(lines, "upstream.proxy"), line_of(lines, "upstream.resolve")),
        upstream.proxy, upstream.resolve);
  const auto check_rows = [&](std::string_view key, const std::vector<UpstreamHost>& rows) {
    for (const UpstreamHost& row : rows) {
      check(std::string(key) + "." + row.pattern.to_string(),
            line_of(lines, key.substr(0, key.find(": "))), row.proxy.value_or(ProxyAddress{}),
            row.resolve.value_or(ResolveNames::local));
    }
  };
  check_rows(kKey, upstream.hosts);
  const bool has_common_proxy = has_proxy;
  for (const TokenKey& key : config.security.keys) {
    has_proxy = has_common_proxy || has_proxies(key.hosts);
    is_limited = !config.security.allow.empty() || !key.allow.empty();
    check_rows("security.keys: " + key.id + ": hosts", key.hosts);
  }
}

}  // namespace streamgate
