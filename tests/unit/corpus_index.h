// Reads a corpus: raw requests, raw upstream answers, playlists and target URLs, each with the
// outcome that it must have. tests/corpus/README.md describes the format. tests/corpus always runs;
// an external corpus of the same format runs if STREAMGATE_CORPORA names its folder.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace streamgate::testing_corpus {

inline const std::string kOwnCorpus = STREAMGATE_SOURCE_DIR "/tests/corpus";
constexpr const char* kNoExternalCorpus = "STREAMGATE_CORPORA does not name a folder";

// The folder of the external corpus; empty if there is none.
inline std::string external_corpus() {
  const char* folder = std::getenv("STREAMGATE_CORPORA");
  return folder == nullptr ? "" : folder;
}

using Row = std::map<std::string, std::string>;  // by the names in the table's first line

// The cell of an optional column; empty if the table does not have the column.
inline std::string cell(const Row& row, const std::string& column) {
  const auto found = row.find(column);
  return found == row.end() ? "" : found->second;
}

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
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

// The rows below the first line. A row has its whole line under "line".
inline std::vector<Row> read_table(const std::string& path) {
  std::istringstream lines(read_file(path));
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
    row["line"] = line;
    rows.push_back(std::move(row));
  }
  return rows;
}

// Every row of <corpus>/<folder>/INDEX.tsv, with the bytes of the row's file under "bytes".
inline std::vector<Row> read_index(const std::string& corpus, const std::string& folder) {
  const std::string path = corpus + "/" + folder + "/";
  std::vector<Row> rows = read_table(path + "INDEX.tsv");
  for (Row& row : rows) {
    row["bytes"] = read_file(path + cell(row, row.count("file") != 0 ? "file" : "path"));
  }
  return rows;
}

// targets.tsv spells bytes that a line of text cannot hold as \r, \n, \t and \xHH.
inline std::string unescape(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = std::string_view(text).substr(i);
    const size_t escape = rest.size() > 1 && rest[0] == '\\'
                              ? std::string_view("rntx").find(rest[1])
                              : std::string_view::npos;
    if (escape == std::string_view::npos) {
      out.push_back(text[i]);
    } else if (escape < 3) {
      out.push_back("\r\n\t"[escape]);
      i += 1;
    } else {
      out.push_back(static_cast<char>(std::strtol(text.substr(i + 2, 2).c_str(), nullptr, 16)));
      i += 3;
    }
  }
  return out;
}

// The rows of <corpus>/targets.tsv that need neither a name server nor an upstream, with the URL
// unescaped.
inline std::vector<Row> read_targets(const std::string& corpus) {
  std::vector<Row> rows;
  for (Row& row : read_table(corpus + "/targets.tsv")) {
    if (!cell(row, "needs").empty()) continue;
    row["url"] = unescape(row["url"]);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace streamgate::testing_corpus
