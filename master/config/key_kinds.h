// Makes the rows of the table (table.cc): one function for each kind of value, which reads it from
// a node of the file and prints it. `field` returns the value's place in a Config.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/target_pattern.h"
#include "master/config/key.h"
#include "master/config/values.h"

namespace streamgate::config_key {

inline void refuse_value(const ConfigNode& node, std::string_view path, std::string_view sentence,
                         ConfigProblems& problems) {
  problems.push_back({node.line, std::string(path) + ": " + std::string(sentence)});
}

// Whether the node is a scalar; adds a problem if not. A key without a value is a problem too.
inline bool is_scalar(const ConfigNode& node, std::string_view path, ConfigProblems& problems) {
  if (node.kind == ConfigNode::Kind::scalar) return true;
  const bool is_null = node.kind == ConfigNode::Kind::null;
  refuse_value(node, path, is_null ? "needs a value" : "takes one value, not a list or a section",
               problems);
  return false;
}

// A key whose value is one scalar. `parse` returns a Result, `print` YAML.
template <class Field, class Parse, class Print>
ConfigKey scalar(std::string path, Field field, Parse parse, Print print) {
  return {path,
          [=](const ConfigNode& node, Config& config, ConfigProblems& problems) {
            if (!is_scalar(node, path, problems)) return;
            auto value = parse(std::string_view(node.text));
            if (!value) return refuse_value(node, path, value.error().detail, problems);
            field(config) = *std::move(value);
          },
          [=](const Config& config) { return print(field(config)); }};
}

// Adds a range to a parser.
template <class T, class Parse, class Print>
auto within(T least, T most, Parse parse, Print print) {
  return [=](std::string_view text) -> Result<T> {
    auto value = parse(text);
    if (!value) return value.error();
    if (*value < least || *value > most) {
      return Error{Reason::bad_request,
                   std::string(text) + " is out of range: " + print(least) + " to " + print(most)};
    }
    return static_cast<T>(*value);
  };
}

template <class Field>
ConfigKey duration(std::string path, Field field, Milliseconds least, Milliseconds most) {
  return scalar(std::move(path), field, within(least, most, parse_duration, print_duration),
                print_duration);
}

template <class Field>
ConfigKey size(std::string path, Field field, size_t least, size_t most) {
  return scalar(std::move(path), field, within(least, most, parse_size, print_size), print_size);
}

// 0 needs no unit.
template <class Field>
ConfigKey size_or_zero(std::string path, Field field, size_t most) {
  const auto parse = [](std::string_view text) {
    return text == "0" ? Result<size_t>(size_t{0}) : parse_size(text);
  };
  return scalar(std::move(path), field, within(size_t{0}, most, parse, print_size), print_size);
}

inline std::string print_number(unsigned value) { return std::to_string(value); }

inline Result<unsigned> parse_unsigned(std::string_view text) {
  const auto value = parse_count(text);
  if (!value) return value.error();
  return static_cast<unsigned>(std::min<uint64_t>(*value, std::numeric_limits<unsigned>::max()));
}

template <class Field>
ConfigKey count(std::string path, Field field, unsigned least, unsigned most) {
  return scalar(std::move(path), field, within(least, most, parse_unsigned, print_number),
                print_number);
}

template <class Field>
ConfigKey boolean(std::string path, Field field) {
  return scalar(std::move(path), field, parse_bool,
                [](bool value) { return std::string(value ? "true" : "false"); });
}

// A key whose value is one of a few words, each for an enumerator.
template <class Field, class Enum, size_t N>
ConfigKey word(std::string path, Field field,
               std::array<std::pair<std::string_view, Enum>, N> words) {
  const auto parse = [=](std::string_view text) -> Result<Enum> {
    std::string known;
    for (const auto& [name, value] : words) {
      if (name == text) return value;
      known += (known.empty() ? "" : ", ") + std::string(name);
    }
    return Error{Reason::bad_request, "'" + std::string(text) + "' is not one of " + known};
  };
  const auto print = [=](Enum wanted) {
    for (const auto& [name, value] : words) {
      if (value == wanted) return std::string(name);
    }
    return std::string();
  };
  return scalar(std::move(path), field, parse, print);
}

// A key whose text may be empty (`pid_file:`), which means "none".
template <class Field, class Parse>
ConfigKey optional_text(std::string path, Field field, Parse parse) {
  ConfigKey key = scalar(path, field, parse, [](const std::string& value) {
    return value.empty() ? std::string() : yaml_text(value);
  });
  key.set = [set = key.set, field](const ConfigNode& node, Config& config,
                                   ConfigProblems& problems) {
    if (node.kind == ConfigNode::Kind::null) {
      field(config).clear();
      return;
    }
    set(node, config, problems);
  };
  return key;
}

inline ConfigKey secret(ConfigKey key) {
  key.may_hold_secret = true;
  return key;
}

template <class Field>
ConfigKey policy(std::string path, Field field, PolicyHeader header) {
  return secret(scalar(
      std::move(path), field,
      [header](std::string_view text) { return parse_header_policy(text, header); },
      print_header_policy));
}

// A key with a list; a single value needs no brackets. `parse` returns the values of one item.
template <class Field, class Parse, class Print>
ConfigKey list(std::string path, Field field, Parse parse, Print print) {
  return {path,
          [=](const ConfigNode& node, Config& config, ConfigProblems& problems) {
            std::vector<ConfigNode> items = node.items;
            if (node.kind == ConfigNode::Kind::scalar) items = {node};
            if (node.kind == ConfigNode::Kind::map || node.kind == ConfigNode::Kind::null) {
              return refuse_value(node, path, "needs a list; [] is the empty one", problems);
            }
            auto& values = field(config);
            values.clear();
            for (const ConfigNode& item : items) {
              if (!is_scalar(item, path, problems)) continue;
              auto more = parse(item.text);
              if (!more) {
                refuse_value(item, path, more.error().detail, problems);
                continue;
              }
              values.insert(values.end(), more->begin(), more->end());
            }
          },
          [=](const Config& config) { return yaml_list(print(field(config))); }, true};
}

template <class T>
std::vector<std::string> print_each(const std::vector<T>& values) {
  std::vector<std::string> out;
  out.reserve(values.size());
  for (const T& value : values) out.push_back(value.to_string());
  return out;
}

template <class T>
Result<std::vector<T>> parse_one(std::string_view text) {
  auto value = T::parse(text);
  if (!value) return value.error();
  return std::vector<T>{*value};
}

template <class Field>
ConfigKey patterns(std::string path, Field field) {
  return list(std::move(path), field, parse_one<TargetPattern>, print_each<TargetPattern>);
}

// The same, and each may have a path.
inline Result<std::vector<TargetPattern>> parse_target(std::string_view text) {
  auto value = TargetPattern::parse_with_path(text);
  if (!value) return value.error();
  return std::vector<TargetPattern>{*value};
}

template <class Field>
ConfigKey targets(std::string path, Field field) {
  return list(std::move(path), field, parse_target, print_each<TargetPattern>);
}

}  // namespace streamgate::config_key
