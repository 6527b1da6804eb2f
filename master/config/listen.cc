#include "master/config/listen.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "common/result.h"
#include "master/config/values.h"

namespace streamgate {
namespace {

// Reads one value of `listen` and collects its problems.
class ListenReader {
 public:
  explicit ListenReader(ConfigProblems& problems) : problems_(problems) {}

  ListenConfig read(const ConfigNode& node) {
    ListenConfig entry;
    if (node.kind != ConfigNode::Kind::map) {
      read_address(node, "listen", entry);
      return entry;
    }
    bool has_address = false;
    for (const ConfigNode& item : node.items) {
      if (item.key == "address") {
        has_address = true;
        read_address(item, "listen.address", entry);
      } else if (item.key == "tls") {
        entry.tls = read_tls(item);
      } else if (item.key == "proxy_protocol") {
        read_flag(item, "listen.proxy_protocol", entry.proxy_protocol);
      } else {
        refuse(item, "listen." + item.key,
               "is not a known key; an entry has address, tls and proxy_protocol");
      }
    }
    if (!has_address) refuse(node, "listen", "an entry needs an address");
    return entry;
  }

 private:
  void refuse(const ConfigNode& node, const std::string& path, const std::string& sentence) {
    problems_.push_back({node.line, path + ": " + sentence});
  }

  // The text of a scalar; null, and a problem is added, for any other node.
  const std::string* text_of(const ConfigNode& node, const std::string& path) {
    if (node.kind == ConfigNode::Kind::scalar) return &node.text;
    refuse(node, path,
           node.kind == ConfigNode::Kind::null ? "needs a value"
                                               : "takes one value, not a list or a section");
    return nullptr;
  }

  void read_address(const ConfigNode& node, const std::string& path, ListenConfig& entry) {
    const std::string* text = text_of(node, path);
    if (text == nullptr) return;
    const auto address = SocketAddress::parse(*text);
    if (!address) return refuse(node, path, address.error().detail);
    entry.address = *address;
  }

  void read_flag(const ConfigNode& node, const std::string& path, bool& out) {
    const std::string* text = text_of(node, path);
    if (text == nullptr) return;
    const auto value = parse_bool(*text);
    if (!value) return refuse(node, path, value.error().detail);
    out = *value;
  }

  void read_path(const ConfigNode& node, const std::string& path, std::string& out) {
    const std::string* text = text_of(node, path);
    if (text == nullptr) return;
    auto value = parse_path(*text);
    if (!value) return refuse(node, path, value.error().detail);
    out = *std::move(value);
  }

  ListenTls read_tls(const ConfigNode& node) {
    ListenTls tls;
    if (node.kind != ConfigNode::Kind::map) {
      refuse(node, "listen.tls", "needs a certificate and a key");
      return tls;
    }
    const size_t problems_before = problems_.size();
    for (const ConfigNode& item : node.items) {
      const std::string path = "listen.tls." + item.key;
      if (item.key == "certificate") {
        read_path(item, path, tls.certificate);
      } else if (item.key == "key") {
        read_path(item, path, tls.key);
      } else {
        refuse(item, path, "is not a known key; tls has certificate and key");
      }
    }
    if (problems_.size() > problems_before) return tls;
    if (tls.certificate.empty()) refuse(node, "listen.tls", "needs a certificate");
    if (tls.key.empty()) refuse(node, "listen.tls", "needs a key");
    return tls;
  }

  ConfigProblems& problems_;
};

void set_listen(const ConfigNode& node, Config& config, ConfigProblems& problems) {
  if (node.kind == ConfigNode::Kind::null) {
    problems.push_back({node.line, "listen: needs a list; [] is the empty one"});
    return;
  }
  const bool is_list = node.kind == ConfigNode::Kind::list;
  const std::vector<ConfigNode> entries = is_list ? node.items : std::vector<ConfigNode>{node};
  ListenReader reader(problems);
  config.listen.clear();
  for (const ConfigNode& entry : entries) config.listen.push_back(reader.read(entry));
}

std::string print_listen(const Config& config) {
  std::string out;
  for (const ListenConfig& entry : config.listen) {
    out += out.empty() ? "[" : ", ";
    const std::string address = yaml_text(entry.address.to_string());
    if (!entry.tls && !entry.proxy_protocol) {
      out += address;
      continue;
    }
    out += "{address: " + address;
    if (entry.proxy_protocol) out += ", proxy_protocol: true";
    if (entry.tls) {
      out += ", tls: {certificate: " + yaml_text(entry.tls->certificate) +
             ", key: " + yaml_text(entry.tls->key) + "}";
    }
    out += "}";
  }
  return out.empty() ? "[]" : out + "]";
}

}  // namespace

ConfigKey listen_key() { return {"listen", set_listen, print_listen, true}; }

void check_listen_rules(const std::vector<ListenConfig>& listen, const ConfigLines& lines,
                        ConfigProblems& problems) {
  const int line = line_of(lines, "listen");
  if (listen.empty()) problems.push_back({line, "listen: needs at least one address"});
  for (size_t i = 0; i < listen.size(); ++i) {
    for (size_t j = i + 1; j < listen.size(); ++j) {
      const SocketAddress& one = listen[i].address;
      const SocketAddress& other = listen[j].address;
      if (!overlap(one, other)) continue;
      problems.push_back(
          {line, "listen: " + one.to_string() + " and " + other.to_string() + " overlap"});
    }
  }
}

std::vector<ListenConfig> listen_at(const std::vector<SocketAddress>& addresses,
                                    const std::vector<ListenConfig>& configured) {
  std::vector<ListenConfig> out;
  for (const SocketAddress& address : addresses) {
    out.push_back({address, std::nullopt});
    for (const ListenConfig& entry : configured) {
      if (entry.address == address) out.back() = entry;
    }
  }
  return out;
}

void use_addresses_of_manager(const std::vector<SocketAddress>& addresses, Config& config) {
  const std::vector<SocketAddress>& admin = config.admin.listen;
  std::vector<SocketAddress> others;
  std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(others),
               [&](const SocketAddress& address) {
                 return std::find(admin.begin(), admin.end(), address) == admin.end();
               });
  if (!others.empty()) config.listen = listen_at(others, config.listen);
}

std::vector<SocketAddress> all_addresses(const Config& config) {
  std::vector<SocketAddress> out;
  for (const ListenConfig& entry : config.listen) out.push_back(entry.address);
  out.insert(out.end(), config.admin.listen.begin(), config.admin.listen.end());
  return out;
}

}  // namespace streamgate
