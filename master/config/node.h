// A configuration file as a tree, independent of the YAML library. The loader builds it, the table
// of keys reads it.
#pragma once

#include <string>
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

}  // namespace streamgate
