// Reads a folder of recorded inputs and its INDEX.tsv, where STREAMGATE_CORPORA names one; without
// it there is simply nothing to read.
#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace streamgate::testing_corpus {

using Row = std::map<std::string, std::string>;  // by the names in the first line

inline std::vector<std::string> split_tabs(const std::string& line) {
  std::vector<std::string> cells;
  size_t begin = 0;
  while (true) {
    const size_t tab = line.find('\t', begin);
    cells.push_back(line.substr(begin, tab == std::string::npos ? tab : tab - begin));
    if (tab == std::string::npos) return cells;
    begin = tab + 1;
  }
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Every row of <corpora>/<folder>/INDEX.tsv, with the file's bytes under "bytes".
inline std::vector<Row> read_index(const std::string& folder) {
  const char* corpora = std::getenv("STREAMGATE_CORPORA");
  if (corpora == nullptr) return {};
  const std::string path = std::string(corpora) + "/" + folder + "/";
  std::istringstream lines(read_file(path + "INDEX.tsv"));
  std::vector<Row> rows;
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> cells = split_tabs(line);
    if (names.empty()) {
      names = cells;
      continue;
    }
    Row row;
    for (size_t i = 0; i < cells.size() && i < names.size(); ++i) row[names[i]] = cells[i];
    row["bytes"] = read_file(path + row["file"]);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace streamgate::testing_corpus
