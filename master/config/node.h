// A configuration file as a tree, independent of the YAML library. The loader builds it, the table
// of keys reads it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace streamgate {

struct ConfigNode {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  std::string key;                // its name, if it is in a map
  std::string text;               // Kind::scalar
  std::vector<ConfigNode> items;  // Kind::list and Kind::map, in the order of the file
  int line = 0;                   // counted from 1
  // Of a scalar whose text comes from environment variables: the text with `${NAME}`, and the
  // names.
  std::string written = {};
  std::vector<std::string> variables = {};
};

struct ConfigProblem {
  int line = 0;  // 0: unknown
  std::string text;
};

// Every problem of a file: one run reports all of them.
using ConfigProblems = std::vector<ConfigProblem>;

// The line of each key that the file or a variable sets; 0 for a variable.
using ConfigLines = std::map<std::string, int, std::less<>>;

// The line of a key for a problem; 0 if the file does not set the key.
inline int line_of(const ConfigLines& lines, std::string_view path) {
  const auto found = lines.find(path);
  return found == lines.end() ? 0 : found->second;
}

}  // namespace streamgate
