#include "master/config/loader.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <exception>
#include <optional>
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

// The last line up to `last` that is indented with a tab; 0: none.
int line_with_tab(std::string_view text, int last) {
  int found = 0;
  for (int line = 1; line <= last && !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const size_t first = std::min(text.find_first_not_of(" \t"), end);
    if (text.substr(0, first).find('\t') != std::string_view::npos) found = line;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

// The library's messages do not name a tab, the usual cause of a wrong indentation.
ConfigProblem not_yaml(const YAML::Exception& error, std::string_view text) {
  const int line = error.mark.line + 1;
  const int tab = line_with_tab(text, line);
  if (tab == 0) return {line, "is not YAML: " + error.msg};
  if (tab == line) return {line, "is indented with a tab; YAML is indented with spaces only"};
  return {line, "is not YAML: " + error.msg + "; line " + std::to_string(tab) +
                    " is indented with a tab, YAML is indented with spaces only"};
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
    problems.push_back(not_yaml(error, text));
  } catch (const std::exception& error) {
    problems.push_back({0, std::string("cannot be read: ") + error.what()});
  }
  return {};
}

// Applies trees to a Config by means of the table of keys.
class Applier {
 public:
  // `environment` null: the values have no variables.
  Applier(LoadedConfig& loaded, std::string_view name, const Environment* environment)
      : loaded_(loaded), name_(name), environment_(environment) {}

  const ConfigLines& lines() const { return lines_; }
  ConfigProblems& problems() { return problems_; }

  // The tree of the file.
  void apply(const ConfigNode& section, const std::string& prefix) {
    for (const ConfigNode& item : section.items) {
      const std::string path = prefix + item.key;
      // `a.b: x` would set key b of section a and escape the check for repeated keys.
      if (item.key.find('.') != std::string::npos) {
        report_unknown(item, path);
      } else if (const ConfigKey* key = find_config_key(path)) {
        apply_key(*key, item);
      } else if (is_config_section(path)) {
        apply_section(item, path);
      } else {
        report_unknown(item, path);
      }
    }
  }

  // The variables of all keys. They win over the file.
  void apply_variables() {
    for (const ConfigKey& key : config_keys()) {
      const std::string variable = variable_of(key.path);
      const std::string_view value = value_of(*environment_, variable);
      if (value.empty()) continue;
      lines_.insert_or_assign(key.path, 0);
      loaded_.origins.insert_or_assign(key.path, ValueOrigin{variable});
      ConfigProblems found;
      const ConfigNode node = read_variable(key, value, found);
      if (found.empty()) set(key, node, found);
      for (const ConfigProblem& problem : found) {
        loaded_.problems.push_back(variable + ": " + problem.text);
      }
      if (!key.may_hold_secret || key.show) continue;
      // The map of hosts has no form with a variable in it. The variable wins over an empty one.
      const bool is_scalar = node.kind == ConfigNode::Kind::scalar;
      loaded_.origins[key.path].shown_as = is_scalar ? print_as_written(node) : "{}";
    }
  }

 private:
  // `[]`, `{...}` and `[{...` are YAML: an address may begin with `[`.
  static ConfigNode read_variable(const ConfigKey& key, std::string_view value,
                                  ConfigProblems& problems) {
    if (auto binary = find_binary_byte(value)) {
      problems.push_back(*binary);
      return {};
    }
    if (value != "[]" && !value.starts_with('{') && !value.starts_with("[{")) {
      return node_of_variable(key, value);
    }
    ConfigNode node = read_yaml(std::string(value), problems);
    // The library's message may have a part of the value.
    if (!problems.empty()) problems = {{0, key.path + ": is not YAML"}};
    return node;
  }

  void apply_key(const ConfigKey& key, const ConfigNode& item) {
    lines_.emplace(key.path, item.line);
    ConfigNode node = item;
    const size_t problems_before = problems_.size();
    if (environment_ != nullptr) expand_variables(node, key.path, *environment_, problems_);
    if (problems_.size() > problems_before) return;
    if (key.is_list && !node.variables.empty()) node = split_at_commas(node);
    set(key, node, problems_);
    ValueOrigin origin{std::string(name_) + ":" + std::to_string(item.line)};
    if (!key.show && holds_secret(key, node)) origin.shown_as = print_as_written(node);
    loaded_.origins.insert_or_assign(key.path, std::move(origin));
  }

  void set(const ConfigKey& key, const ConfigNode& node, ConfigProblems& problems) {
    ConfigProblems found;
    key.set(node, loaded_.config, found);
    for (ConfigProblem& problem : found) {
      if (holds_secret(key, node)) hide_values(node, problem.text);
      problems.push_back(std::move(problem));
    }
  }

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

  LoadedConfig& loaded_;
  std::string_view name_;
  const Environment* environment_;
  ConfigProblems problems_;  // of the file
  ConfigLines lines_;        // 0: set by a variable
};

// Prints keys and their values as YAML. The keys of a section must be added one after the other.
class SettingsPrinter {
 public:
  void add(const std::string& name, const std::string& value) { add(name, value, ""); }

  void add(std::string name, const std::string& value, const std::string& comment) {
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
    // Above the key, so that a script can read the rest of its line as the value.
    const std::string indentation(2 * depth, ' ');
    if (!comment.empty()) text_ += indentation + "# " + comment + "\n";
    text_ += indentation + name + ":" + (value.empty() ? "" : " " + value) + "\n";
  }

  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::vector<std::string> open_;  // the sections of the last line
};

// A file name for a comment.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }, '?');
  return text;
}

void apply_listen_addr(std::string_view text, LoadedConfig& loaded) {
  const auto address = SocketAddress::parse(text);
  if (address) {
    loaded.config.listen = {{*address, std::nullopt}};
    loaded.origins["listen"] = {"LISTEN_ADDR"};
  } else {
    loaded.problems.push_back("LISTEN_ADDR: " + address.error().detail);
  }
}

// `file:line: text`. A problem without a line that is about the value of a variable names it.
std::string with_place(const ConfigProblem& problem, std::string_view name,
                       const LoadedConfig& loaded) {
  if (problem.line > 0) {
    return std::string(name) + ":" + std::to_string(problem.line) + ": " + problem.text;
  }
  const std::string key = problem.text.substr(0, problem.text.find(':'));
  const auto origin = loaded.origins.find(key);
  const bool is_variable =
      origin != loaded.origins.end() && origin->second.place == variable_of(key);
  return (is_variable ? origin->second.place : std::string(name)) + ": " + problem.text;
}

void apply_text(std::string_view text, Applier& applier) {
  ConfigProblems& problems = applier.problems();
  if (auto binary = find_binary_byte(text)) {
    problems.push_back(*binary);
    return;
  }
  const ConfigNode tree = read_yaml(std::string(text), problems);
  if (tree.kind == ConfigNode::Kind::scalar || tree.kind == ConfigNode::Kind::list) {
    problems.push_back({tree.line, "a configuration consists of `key: value` lines"});
  } else {
    applier.apply(tree, "");
  }
}

// `environment` null: only the text counts, and its values have no variables.
LoadedConfig parse_with(std::string_view text, std::string_view name,
                        const Environment* environment) {
  LoadedConfig loaded;
  loaded.config = default_config();
  Applier applier(loaded, name, environment);
  apply_text(text, applier);
  if (environment != nullptr) {
    applier.apply_variables();
    const std::string_view listen_addr = value_of(*environment, "LISTEN_ADDR");
    if (!listen_addr.empty() && !applier.lines().contains("listen")) {
      apply_listen_addr(listen_addr, loaded);
    }
  }
  ConfigProblems& problems = applier.problems();
  // Rules over several keys need valid values.
  if (problems.empty() && loaded.ok()) {
    check_config_rules(loaded.config, applier.lines(), problems);
  }
  ConfigProblems warnings = config_warnings(loaded.config, applier.lines());
  ignore_untrusted_settings(loaded.config, applier.lines(), warnings);
  std::stable_sort(problems.begin(), problems.end(),
                   [](const ConfigProblem& a, const ConfigProblem& b) { return a.line < b.line; });
  std::vector<std::string> of_file;
  for (const ConfigProblem& problem : problems) {
    of_file.push_back(with_place(problem, name, loaded));
  }
  loaded.problems.insert(loaded.problems.begin(), of_file.begin(), of_file.end());
  for (const ConfigProblem& warning : warnings) {
    loaded.warnings.push_back(with_place(warning, name, loaded));
  }
  if (environment == nullptr) return loaded;
  for (const ConfigProblem& warning : unknown_variables(*environment)) {
    loaded.warnings.push_back(warning.text);
  }
  return loaded;
}

}  // namespace

LoadedConfig parse_config(std::string_view text, std::string_view name,
                          const Environment& environment) {
  return parse_with(text, name, &environment);
}

LoadedConfig load_config(const std::string& path, const Environment& environment) {
  if (path.empty()) return parse_config("", "built-in defaults", environment);
  const auto text = read_file(path, kMaxFileBytes);
  if (text) return parse_config(*text, path, environment);
  LoadedConfig loaded;
  loaded.problems.push_back(text.error().detail);
  return loaded;
}

std::string print_config(const Config& config) {
  SettingsPrinter printer;
  for (const ConfigKey& key : config_keys()) {
    printer.add(key.path, without_variables(key.print(config)));
  }
  return printer.text();
}

std::string print_config(const LoadedConfig& loaded) {
  SettingsPrinter printer;
  for (const ConfigKey& key : config_keys()) {
    const auto origin = loaded.origins.find(key.path);
    const bool has_default = origin == loaded.origins.end();
    std::string value =
        without_variables(key.show ? key.show(loaded.config) : key.print(loaded.config));
    std::string comment = has_default ? "default" : one_line(origin->second.place);
    if (!has_default && !origin->second.shown_as.empty()) {
      value = origin->second.shown_as;
      comment += ", not shown";
    }
    printer.add(key.path, value, comment);
  }
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
  return parse_with(printer.text(), name, nullptr);
}

}  // namespace streamgate
