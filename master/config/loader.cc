#include "master/config/loader.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <exception>
#include <set>
#include <sstream>
#include <utility>

#include "common/file.h"
#include "common/result.h"
#include "master/config/node.h"
#include "master/config/rules.h"
#include "master/config/table.h"

namespace streamgate {
namespace {

constexpr size_t kMaxFileBytes = size_t{1024} * 1024;
// Far more than the keys need. They limit a file that refers to itself through an alias.
constexpr int kMaxDepth = 8;
constexpr size_t kMaxNodes = 20'000;

// The YAML library misreads these bytes, for example as the end of the file.
std::optional<ConfigProblem> find_binary_byte(std::string_view text) {
  int line = 1;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') ++line;
    const bool is_blank = c == '\t' || c == '\n' || c == '\r';
    if ((byte < 0x20 && !is_blank) || byte == 0x7f || byte >= 0xf8) {
      return ConfigProblem{line, "contains a control or non-UTF-8 byte: this is not a text file"};
    }
  }
  return std::nullopt;
}

// Copies the YAML library's tree to a ConfigNode.
class TreeReader {
 public:
  explicit TreeReader(ConfigProblems& problems) : problems_(problems) {}

  ConfigNode read(const YAML::Node& yaml, int line, int depth) {
    ConfigNode node;
    node.line = yaml.Mark().line >= 0 ? yaml.Mark().line + 1 : line;
    if (depth > kMaxDepth || ++nodes_ > kMaxNodes) {
      problems_.push_back({node.line, "is nested too deeply or refers to itself"});
      return node;
    }
    if (yaml.IsScalar()) {
      node.kind = ConfigNode::Kind::scalar;
      node.text = yaml.Scalar();
    } else if (yaml.IsSequence()) {
      node.kind = ConfigNode::Kind::list;
      for (const YAML::Node& item : yaml) node.items.push_back(read(item, node.line, depth + 1));
    } else if (yaml.IsMap()) {
      node.kind = ConfigNode::Kind::map;
      read_entries(yaml, node, depth);
    }
    return node;
  }

 private:
  void read_entries(const YAML::Node& yaml, ConfigNode& node, int depth) {
    std::set<std::string, std::less<>> seen;
    for (const auto& entry : yaml) {
      const int line = entry.first.Mark().line + 1;
      if (!entry.first.IsScalar()) {
        problems_.push_back({line, "a key must be a word"});
        continue;
      }
      ConfigNode item = read(entry.second, line, depth + 1);
      item.key = entry.first.Scalar();
      item.line = line > 0 ? line : item.line;
      if (!seen.insert(item.key).second) {
        problems_.push_back({line, item.key + ": is set twice"});
        continue;
      }
      node.items.push_back(std::move(item));
    }
  }

  ConfigProblems& problems_;
  size_t nodes_ = 0;
};

// Keeps the line at which the last document starts.
struct DocumentStarts final : YAML::EventHandler {
  void OnDocumentStart(const YAML::Mark& mark) override { last_line = mark.line + 1; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  int last_line = 0;
};

// The line of a second document, or 0. YAML::LoadAll is not used: on some texts (`,a`) it finds
// empty documents without end.
int line_of_second_document(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStarts starts;
  if (!parser.HandleNextDocument(starts)) return 0;
  return parser.HandleNextDocument(starts) ? std::max(starts.last_line, 1) : 0;
}

// The tree of the whole text; adds a problem if it is not YAML.
ConfigNode read_yaml(const std::string& text, ConfigProblems& problems) {
  try {
    if (const int line = line_of_second_document(text); line > 0) {
      problems.push_back({line, "starts a second YAML document; only one is allowed"});
      return {};
    }
    return TreeReader(problems).read(YAML::Load(text), 1, 0);
  } catch (const YAML::Exception& error) {
    problems.push_back({error.mark.line + 1, "is not YAML: " + error.msg});
  } catch (const std::exception& error) {
    problems.push_back({0, std::string("cannot be read: ") + error.what()});
  }
  return {};
}

// Applies the tree to a Config by means of the table of keys.
class Applier {
 public:
  Applier(Config& config, ConfigProblems& problems) : config_(config), problems_(problems) {}

  const ConfigLines& lines() const { return lines_; }

  void apply(const ConfigNode& section, const std::string& prefix) {
    for (const ConfigNode& item : section.items) {
      const std::string path = prefix + item.key;
      // `a.b: x` would set key b of section a and escape the check for repeated keys.
      if (item.key.find('.') != std::string::npos) {
        report_unknown(item, path);
      } else if (const ConfigKey* key = find_config_key(path)) {
        lines_.emplace(path, item.line);
        key->set(item, config_, problems_);
      } else if (is_config_section(path)) {
        apply_section(item, path);
      } else {
        report_unknown(item, path);
      }
    }
  }

 private:
  void apply_section(const ConfigNode& item, const std::string& path) {
    // A section whose keys are all commented out is empty.
    if (item.kind == ConfigNode::Kind::null) return;
    if (item.kind == ConfigNode::Kind::map) return apply(item, path + ".");
    problems_.push_back({item.line, path + ": is a section; write its keys below it"});
  }

  void report_unknown(const ConfigNode& item, const std::string& path) {
    const std::string nearest = nearest_config_key(path);
    problems_.push_back(
        {item.line, path + ": is not a known key" +
                        (nearest.empty() ? std::string() : "; did you mean " + nearest + "?")});
  }

  Config& config_;
  ConfigProblems& problems_;
  ConfigLines lines_;
};

// Prints keys and their values as YAML. The keys of a section must be added one after the other.
class SettingsPrinter {
 public:
  void add(std::string name, const std::string& value) {
    std::vector<std::string> sections;
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.')) {
      sections.push_back(name.substr(0, dot));
      name.erase(0, dot + 1);
    }
    size_t depth = 0;
    while (depth < std::min(sections.size(), open_.size()) && sections[depth] == open_[depth]) {
      ++depth;
    }
    for (; depth < sections.size(); ++depth) {
      text_ += std::string(2 * depth, ' ') + sections[depth] + ":\n";
    }
    open_ = std::move(sections);
    text_ += std::string(2 * depth, ' ') + name + ":" + (value.empty() ? "" : " " + value) + "\n";
  }

  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::vector<std::string> open_;  // the sections of the last line
};

void apply_listen_addr(const std::string& text, LoadedConfig& loaded) {
  const auto address = SocketAddress::parse(text);
  if (address) {
    loaded.config.listen = {{*address, std::nullopt}};
  } else {
    loaded.problems.push_back("LISTEN_ADDR: " + address.error().detail);
  }
}

std::string with_place(const ConfigProblem& problem, std::string_view name) {
  const std::string place = problem.line > 0 ? ":" + std::to_string(problem.line) : "";
  return std::string(name) + place + ": " + problem.text;
}

}  // namespace

LoadedConfig parse_config(std::string_view text, std::string_view name,
                          const std::optional<std::string>& listen_addr) {
  LoadedConfig loaded;
  loaded.config = default_config();
  ConfigProblems problems;
  Applier applier(loaded.config, problems);
  if (auto binary = find_binary_byte(text)) {
    problems.push_back(*binary);
  } else {
    const ConfigNode tree = read_yaml(std::string(text), problems);
    if (tree.kind == ConfigNode::Kind::scalar || tree.kind == ConfigNode::Kind::list) {
      problems.push_back({tree.line, "a configuration consists of `key: value` lines"});
    } else {
      applier.apply(tree, "");
    }
  }
  if (listen_addr && !applier.lines().contains("listen")) {
    apply_listen_addr(*listen_addr, loaded);
  }
  // Rules over several keys need valid values.
  if (problems.empty()) check_config_rules(loaded.config, applier.lines(), problems);
  ConfigProblems warnings = config_warnings(loaded.config, applier.lines());
  ignore_untrusted_settings(loaded.config, applier.lines(), warnings);
  std::stable_sort(problems.begin(), problems.end(),
                   [](const ConfigProblem& a, const ConfigProblem& b) { return a.line < b.line; });
  for (const ConfigProblem& problem : problems) {
    loaded.problems.push_back(with_place(problem, name));
  }
  for (const ConfigProblem& warning : warnings) {
    loaded.warnings.push_back(with_place(warning, name));
  }
  return loaded;
}

LoadedConfig load_config(const std::string& path, const std::optional<std::string>& listen_addr) {
  if (path.empty()) return parse_config("", "built-in defaults", listen_addr);
  const auto text = read_file(path, kMaxFileBytes);
  if (text) return parse_config(*text, path, listen_addr);
  LoadedConfig loaded;
  loaded.problems.push_back(text.error().detail);
  return loaded;
}

std::string print_config(const Config& config) {
  SettingsPrinter printer;
  for (const ConfigKey& key : config_keys()) printer.add(key.path, key.print(config));
  return printer.text();
}

std::vector<ConfigSetting> settings_of(const Config& config) {
  const Config defaults = default_config();
  std::vector<ConfigSetting> out;
  for (const ConfigKey& key : config_keys()) {
    const std::string value = key.print(config);
    out.push_back({key.path, value, value == key.print(defaults)});
  }
  return out;
}

LoadedConfig config_from(const std::vector<ConfigSetting>& settings, std::string_view name) {
  SettingsPrinter printer;
  for (const ConfigSetting& setting : settings) {
    if (setting.is_default && !find_config_key(setting.key)) continue;
    printer.add(setting.key, setting.value);
  }
  return parse_config(printer.text(), name, std::nullopt);
}

}  // namespace streamgate
