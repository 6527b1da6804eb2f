#include "master/config/token_keys.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "common/ascii.h"
#include "master/config/hosts.h"
#include "master/config/values.h"

namespace streamgate {
namespace {

constexpr std::string_view kKey = "security.keys";
constexpr std::string_view kFields =
    "id, algorithm, secret, secret_file, public_key_file, aud, iss, allow, limits and hosts";
constexpr std::string_view kLimits = "streams, requests and bandwidth";
constexpr size_t kMinSecretBytes = 32;  // RFC 7518 3.2
constexpr size_t kMaxIdBytes = 64;

using Algorithm = TokenKey::Algorithm;
constexpr std::array<std::pair<std::string_view, Algorithm>, 3> kAlgorithms{
    {{"HS256", Algorithm::hs256}, {"ES256", Algorithm::es256}, {"EdDSA", Algorithm::eddsa}}};

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= kMaxIdBytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '_';
         });
}

// Reads the list and collects its problems.
class KeysReader {
 public:
  explicit KeysReader(ConfigProblems& problems) : problems_(problems) {}

  std::vector<TokenKey> read(const ConfigNode& node) {
    std::vector<TokenKey> keys;
    if (node.kind != ConfigNode::Kind::list) {
      refuse(node, std::string(kKey), "needs a list of keys; [] is none");
      return keys;
    }
    for (const ConfigNode& item : node.items) {
      TokenKey key = read_key(item);
      const bool is_repeated =
          std::any_of(keys.begin(), keys.end(), [&](const TokenKey& k) { return k.id == key.id; });
      if (is_repeated) refuse(item, std::string(kKey), "the id " + key.id + " is set twice");
      keys.push_back(std::move(key));
    }
    return keys;
  }

 private:
  void refuse(const ConfigNode& node, const std::string& path, const std::string& sentence) {
    problems_.push_back({node.line, path + ": " + sentence});
  }

  TokenKey read_key(const ConfigNode& node) {
    TokenKey key;
    if (node.kind != ConfigNode::Kind::map) {
      refuse(node, std::string(kKey), "a key has " + std::string(kFields));
      return key;
    }
    const size_t problems_before = problems_.size();
    for (const ConfigNode& item : node.items) read_field(item, key);
    if (problems_.size() == problems_before) check_key(node, key);
    return key;
  }

  void read_field(const ConfigNode& node, TokenKey& key) {
    const std::string path = std::string(kKey) + "." + node.key;
    if (node.key == "allow") return read_allow(node, path, key);
    if (node.key == "limits") return read_limits(node, path, key.limits);
    if (node.key == "hosts") {
      key.hosts = read_hosts(node, path, problems_);
      return;
    }
    if (node.kind != ConfigNode::Kind::scalar) {
      return refuse(node, path,
                    node.kind == ConfigNode::Kind::null ? "needs a value" : "takes one value");
    }
    if (auto read = read_value(node.key, node.text, key); !read) {
      refuse(node, path, read.error().detail);
    }
  }

  static Result<void> read_value(std::string_view name, const std::string& text, TokenKey& key) {
    if (name == "id") return read_id(text, key);
    if (name == "algorithm") return read_algorithm(text, key);
    if (name == "secret") return read_secret(text, key);
    if (name == "secret_file") return put_path(text, key.secret_file);
    if (name == "public_key_file") return put_path(text, key.public_key_file);
    if (name == "aud") {
      key.audience = text;
    } else if (name == "iss") {
      key.issuer = text;
    } else {
      return Error{Reason::bad_request, "is not a known key; a key has " + std::string(kFields)};
    }
    return {};
  }

  static Result<void> read_id(const std::string& text, TokenKey& key) {
    if (!is_id(text)) {
      return Error{Reason::bad_request, "takes 1 to 64 letters, digits, - and _"};
    }
    key.id = text;
    return {};
  }

  static Result<void> read_algorithm(std::string_view text, TokenKey& key) {
    for (const auto& [name, algorithm] : kAlgorithms) {
      if (name != text) continue;
      key.algorithm = algorithm;
      return {};
    }
    return Error{Reason::bad_request,
                 "'" + std::string(text) + "' is not one of HS256, ES256, EdDSA"};
  }

  // A problem never contains the text.
  static Result<void> read_secret(const std::string& text, TokenKey& key) {
    if (text.size() < kMinSecretBytes) {
      return Error{Reason::bad_request,
                   "needs at least 32 bytes; `openssl rand -hex 32` makes one"};
    }
    key.secret = text;
    return {};
  }

  static Result<void> put_path(std::string_view text, std::string& path) {
    auto value = parse_path(text);
    if (!value) return std::move(value).error();
    path = *std::move(value);
    return {};
  }

  void read_allow(const ConfigNode& node, const std::string& path, TokenKey& key) {
    const std::vector<ConfigNode> items =
        node.kind == ConfigNode::Kind::list ? node.items : std::vector<ConfigNode>{node};
    for (const ConfigNode& item : items) {
      const auto pattern = TargetPattern::parse_with_path(item.text);
      if (!pattern) {
        refuse(item, path, pattern.error().detail);
      } else {
        key.allow.push_back(*pattern);
      }
    }
  }

  void read_limits(const ConfigNode& node, const std::string& path, RateLimits& limits) {
    if (node.kind != ConfigNode::Kind::map) {
      return refuse(node, path, "needs " + std::string(kLimits) + "; {} is no limit");
    }
    for (const ConfigNode& item : node.items) {
      const std::string name = path + "." + item.key;
      if (item.kind != ConfigNode::Kind::scalar) {
        refuse(item, name, "needs one value");
      } else if (auto read = read_limit(item.key, item.text, limits); !read) {
        refuse(item, name, read.error().detail);
      }
    }
  }

  static Result<void> read_limit(std::string_view name, std::string_view text, RateLimits& limits) {
    if (name == "streams") return put_count(text, kMaxStreamsOfClient, limits.streams);
    if (name == "requests") return put_count(text, kMaxRequestRate, limits.requests);
    if (name != "bandwidth") {
      return Error{Reason::bad_request, "is not a known key; limits has " + std::string(kLimits)};
    }
    const auto bandwidth = parse_bandwidth(text);
    if (!bandwidth) return bandwidth.error();
    limits.bandwidth = *bandwidth;
    return {};
  }

  static Result<void> put_count(std::string_view text, unsigned most, unsigned& limit) {
    const auto value = parse_count(text);
    if (!value) return value.error();
    if (*value > most) {
      return Error{Reason::bad_request,
                   std::string(text) + " is out of range: 0 to " + std::to_string(most)};
    }
    limit = static_cast<unsigned>(*value);
    return {};
  }

  void check_key(const ConfigNode& node, const TokenKey& key) {
    const std::string path(kKey);
    const bool has_secret = !key.secret.empty() || !key.secret_file.empty();
    if (key.id.empty()) refuse(node, path, "a key needs an id");
    if (key.algorithm == Algorithm::hs256) {
      if (!has_secret) refuse(node, path, "a key with HS256 needs secret or secret_file");
      if (!key.secret.empty() && !key.secret_file.empty()) {
        refuse(node, path, "secret and secret_file exclude each other");
      }
      if (!key.public_key_file.empty()) refuse(node, path, "HS256 has no public_key_file");
    } else {
      if (key.public_key_file.empty()) refuse(node, path, "this algorithm needs public_key_file");
      if (has_secret) refuse(node, path, "this algorithm has no secret");
    }
  }

  ConfigProblems& problems_;
};

void set_keys(const ConfigNode& node, Config& config, ConfigProblems& problems) {
  config.security.keys = KeysReader(problems).read(node);
}

std::string print_limits(const RateLimits& limits) {
  return "{streams: " + std::to_string(limits.streams) +
         ", requests: " + std::to_string(limits.requests) +
         ", bandwidth: " + print_size(limits.bandwidth) + "}";
}

enum class Secrets { printed, hidden };

std::string print_key(const TokenKey& key, Secrets secrets) {
  std::string out = "{id: " + yaml_text(key.id);
  for (const auto& [name, algorithm] : kAlgorithms) {
    if (algorithm == key.algorithm) out.append(", algorithm: ").append(name);
  }
  const auto add = [&](std::string_view name, const std::string& text) {
    if (!text.empty()) out.append(", ").append(name).append(": ").append(yaml_text(text));
  };
  if (key.secret_file.empty()) {
    add("secret", secrets == Secrets::hidden ? "(hidden)" : std::string(key.secret.view()));
  }
  add("secret_file", key.secret_file);
  add("public_key_file", key.public_key_file);
  add("aud", key.audience);
  add("iss", key.issuer);
  if (!key.allow.empty()) {
    std::vector<std::string> hosts;
    for (const TargetPattern& pattern : key.allow) hosts.push_back(pattern.to_string());
    out += ", allow: " + yaml_list(hosts);
  }
  if (!key.hosts.empty()) {
    // Their headers and proxies may hold passwords.
    out += ", hosts: " + (secrets == Secrets::hidden ? "(hidden)" : print_hosts(key.hosts));
  }
  if (key.limits != RateLimits{}) out += ", limits: " + print_limits(key.limits);
  return out + "}";
}

std::string print_keys_with(const Config& config, Secrets secrets) {
  std::string out;
  for (const TokenKey& key : config.security.keys) {
    out += (out.empty() ? "[" : ", ") + print_key(key, secrets);
  }
  return out.empty() ? "[]" : out + "]";
}

std::string print_keys(const Config& config) { return print_keys_with(config, Secrets::printed); }

std::string show_keys(const Config& config) { return print_keys_with(config, Secrets::hidden); }

void set_grant_secret(const ConfigNode& node, Config& config, ConfigProblems& problems) {
  config.security.grant_secret = Secret();
  if (node.kind == ConfigNode::Kind::null) return;
  if (node.kind == ConfigNode::Kind::scalar && node.text.size() >= kMinSecretBytes) {
    config.security.grant_secret = node.text;
    return;
  }
  problems.push_back({node.line,
                      "security.grant_secret: needs at least 32 bytes; `openssl rand -hex 32` "
                      "makes one"});
}

std::string print_grant_secret(const Config& config) {
  const Secret& secret = config.security.grant_secret;
  return secret.empty() ? std::string() : yaml_text(secret.view());
}

std::string show_grant_secret(const Config& config) {
  return config.security.grant_secret.empty() ? "" : "\"(hidden)\"";
}

}  // namespace

ConfigKey grant_secret_key() {
  return {"security.grant_secret", set_grant_secret, print_grant_secret, false, true,
          show_grant_secret};
}

ConfigKey token_keys_key() {
  return {std::string(kKey), set_keys, print_keys, false, true, show_keys};
}

void check_token_rules(const SecurityConfig& security, const ConfigLines& lines,
                       ConfigProblems& problems) {
  if (security.auth == SecurityConfig::Auth::none) {
    // Without a grant, the headers that a playlist gives its links are like those of a client.
    if (!security.parameters.headers) {
      problems.push_back({line_of(lines, "security.parameters.headers"),
                          "security.parameters.headers: false needs security.auth: token"});
    }
    return;
  }
  if (security.keys.empty()) {
    problems.push_back(
        {line_of(lines, "security.auth"), "security.auth: token needs security.keys"});
  }
  const bool needs_secret =
      std::any_of(security.keys.begin(), security.keys.end(),
                  [](const TokenKey& key) { return key.algorithm != TokenKey::Algorithm::hs256; });
  if (needs_secret && security.grant_secret.empty()) {
    problems.push_back({line_of(lines, "security.keys"),
                        "security.keys: keys with ES256 and EdDSA need security.grant_secret, "
                        "which signs the links of playlists"});
  }
}

}  // namespace streamgate
