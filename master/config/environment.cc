#include "master/config/environment.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "common/ascii.h"
#include "master/config/table.h"
#include "master/config/values.h"

namespace streamgate {
namespace {

constexpr std::string_view kPrefix = "STREAMGATE_";

char to_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

bool is_name_byte(char c) { return ascii::is_alpha(c) || ascii::is_digit(c) || c == '_'; }

bool is_variable_name(std::string_view text) {
  return !text.empty() && !ascii::is_digit(text.front()) &&
         std::all_of(text.begin(), text.end(), is_name_byte);
}

// Variables of the project's tests, which run the program.
constexpr std::string_view kOfTests[] = {"STREAMGATE_BINARY",  "STREAMGATE_BUILD",
                                         "STREAMGATE_CORPORA", "STREAMGATE_FAULT",
                                         "STREAMGATE_NAMES",   "STREAMGATE_SEED"};

// The variables that Kubernetes sets in each pod for a Service with the name `streamgate`:
// STREAMGATE_SERVICE_HOST, STREAMGATE_SERVICE_PORT_HTTP, STREAMGATE_PORT_80_TCP_ADDR ...
bool is_from_kubernetes(std::string_view name) {
  return name.find("SERVICE_HOST") != name.npos || name.find("SERVICE_PORT") != name.npos ||
         name.ends_with("_PORT") || name.find("_TCP") != name.npos ||
         name.find("_UDP") != name.npos;
}

std::string hint_for(std::string_view name) {
  if (is_from_kubernetes(name)) {
    return " (Kubernetes sets such variables for a Service named streamgate; enableServiceLinks: "
           "false prevents it)";
  }
  const std::string nearest = nearest_config_key(ascii::lower(name.substr(kPrefix.size())));
  if (!find_config_key(nearest)) return {};
  return "; did you mean " + variable_of(nearest) + "?";
}

// Variables with such a name are not printed.
bool names_secret(std::string_view name) {
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(), to_upper);
  for (const std::string_view part : {"PASSW", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL"}) {
    if (upper.find(part) != upper.npos) return true;
  }
  upper = "_" + upper + "_";
  for (const std::string_view word : {"_PASS_", "_PWD_", "_KEY_", "_KEYS_", "_AUTH_"}) {
    if (upper.find(word) != upper.npos) return true;
  }
  return false;
}

struct Expansion {
  std::string text;
  std::vector<std::string> variables;
  std::string problem;  // empty: none
};

// `inside` is the text between `${` and `}`.
void expand_one(std::string_view inside, const Environment& environment, Expansion& out) {
  const size_t separator = inside.find(":-");
  const std::string name(inside.substr(0, separator));
  if (!is_variable_name(name)) {
    out.problem =
        "'${" + std::string(inside) +
        "}' is not a variable: write ${NAME} or ${NAME:-default}, and $${ for the text ${";
    return;
  }
  out.variables.push_back(name);
  const auto found = environment.find(name);
  const bool is_empty = found == environment.end() || found->second.empty();
  if (separator != inside.npos && is_empty) {
    out.text += inside.substr(separator + 2);
  } else if (found != environment.end()) {
    out.text += found->second;
  } else {
    out.problem = "the environment variable " + name + " is not set; ${" + name +
                  ":-default} gives it a default";
  }
}

Expansion expand(std::string_view text, const Environment& environment) {
  Expansion out;
  while (!text.empty() && out.problem.empty()) {
    if (text.starts_with("$${")) {
      out.text += "${";
      text.remove_prefix(3);
      continue;
    }
    if (!text.starts_with("${")) {
      out.text += text.front();
      text.remove_prefix(1);
      continue;
    }
    const size_t end = text.find('}');
    if (end == text.npos || text.substr(2, end - 2).find("${") != text.npos) {
      out.problem = "a ${ has no matching }; write $${ for the text ${";
      break;
    }
    expand_one(text.substr(2, end - 2), environment, out);
    text.remove_prefix(end + 1);
  }
  return out;
}

ConfigNode scalar_of(std::string_view text) {
  ConfigNode node;
  node.kind = ConfigNode::Kind::scalar;
  node.text = text;
  return node;
}

}  // namespace

Environment environment_of_process() {
  Environment out;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    const std::string_view entry = *each;
    const size_t equals = entry.find('=');
    if (equals != entry.npos) out.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return out;
}

std::string_view value_of(const Environment& environment, std::string_view name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string_view() : std::string_view(found->second);
}

std::string variable_of(std::string_view path) {
  std::string out(kPrefix);
  for (const char c : path) out += c == '.' ? '_' : to_upper(c);
  return out;
}

ConfigProblems unknown_variables(const Environment& environment) {
  ConfigProblems out;
  for (auto each = environment.lower_bound(kPrefix);
       each != environment.end() && each->first.starts_with(kPrefix); ++each) {
    const std::string& name = each->first;
    const auto is_own = [&](const ConfigKey& key) { return variable_of(key.path) == name; };
    const auto& keys = config_keys();
    const bool is_of_tests =
        std::find(std::begin(kOfTests), std::end(kOfTests), name) != std::end(kOfTests);
    if (each->second.empty() || is_of_tests || std::any_of(keys.begin(), keys.end(), is_own)) {
      continue;
    }
    out.push_back({0, name + ": is ignored, because no key has this variable" + hint_for(name)});
  }
  return out;
}

ConfigNode split_at_commas(const ConfigNode& whole) {
  ConfigNode node = whole;
  node.kind = ConfigNode::Kind::list;
  std::string_view rest = whole.text;
  while (true) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view item = ascii::trim(rest.substr(0, comma));
    if (!item.empty()) node.items.push_back(scalar_of(item));
    if (!node.items.empty()) node.items.back().line = whole.line;
    if (comma == rest.size()) break;
    rest.remove_prefix(comma + 1);
  }
  // A list of one is a scalar: `security.allow_private` accepts `true` only as a scalar.
  if (node.items.size() != 1) return node;
  ConfigNode only = std::move(node.items.front());
  only.key = whole.key;
  only.written = whole.written;
  only.variables = whole.variables;
  return only;
}

ConfigNode node_of_variable(const ConfigKey& key, std::string_view value) {
  ConfigNode node = scalar_of(value);
  node.written = "${" + variable_of(key.path) + "}";
  node.variables = {variable_of(key.path)};
  return key.is_list ? split_at_commas(node) : node;
}

void expand_variables(ConfigNode& node, const std::string& path, const Environment& environment,
                      ConfigProblems& problems) {
  for (ConfigNode& item : node.items) {
    const bool is_named = node.kind == ConfigNode::Kind::map;
    expand_variables(item, is_named ? path + "." + item.key : path, environment, problems);
  }
  if (node.kind != ConfigNode::Kind::scalar || node.text.find("${") == node.text.npos) return;
  Expansion expansion = expand(node.text, environment);
  if (!expansion.problem.empty()) {
    problems.push_back({node.line, path + ": " + expansion.problem});
    return;
  }
  if (!expansion.variables.empty()) node.written = node.text;
  node.text = std::move(expansion.text);
  node.variables = std::move(expansion.variables);
}

std::string without_variables(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("${")) out += '$';
    out += text[i];
  }
  return out;
}

bool holds_secret(const ConfigKey& key, const ConfigNode& node) {
  if (!node.variables.empty()) {
    const bool is_own = node.variables.front() == variable_of(key.path);
    if (key.may_hold_secret) return true;
    if (!is_own && std::any_of(node.variables.begin(), node.variables.end(), names_secret)) {
      return true;
    }
  }
  return std::any_of(node.items.begin(), node.items.end(),
                     [&](const ConfigNode& item) { return holds_secret(key, item); });
}

void hide_values(const ConfigNode& node, std::string& text) {
  for (const ConfigNode& item : node.items) hide_values(item, text);
  if (node.written.empty() || node.text.empty()) return;
  for (size_t at = text.find(node.text); at != text.npos;
       at = text.find(node.text, at + node.written.size())) {
    text.replace(at, node.text.size(), node.written);
  }
}

std::string print_as_written(const ConfigNode& node) {
  if (node.kind == ConfigNode::Kind::null) return "null";
  if (node.kind == ConfigNode::Kind::scalar) {
    return yaml_text(node.written.empty() ? without_variables(node.text) : node.written);
  }
  const bool is_map = node.kind == ConfigNode::Kind::map;
  std::string out;
  for (const ConfigNode& item : node.items) {
    if (!out.empty()) out += ", ";
    if (is_map) out += yaml_text(item.key) + ": ";
    out += print_as_written(item);
  }
  return is_map ? "{" + out + "}" : "[" + out + "]";
}

}  // namespace streamgate
