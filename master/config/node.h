// A configuration file as a plain tree, free of the YAML library: what the loader reads and the
// table of keys judges.
#pragma once

#include <string>
#include <vector>

namespace streamgate {

struct ConfigNode {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  std::string key;                // in a map: its name there
  std::string text;               // Kind::scalar
  std::vector<ConfigNode> items;  // Kind::list and Kind::map, in the file's order
  int line = 0;                   // counted from 1
};

struct ConfigProblem {
  int line = 0;  // 0: of no line in particular
  std::string text;
};

// All that is wrong with a file, collected so that one run reports everything.
using ConfigProblems = std::vector<ConfigProblem>;

}  // namespace streamgate
