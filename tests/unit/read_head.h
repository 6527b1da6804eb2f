// Parses a message head for tests, which look up fields by name.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/ascii.h"

namespace streamgate {

struct ReadHead {
  std::string first_line;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;

  // All values of that name with `|` between them; "-" if there is none.
  std::string operator[](std::string_view name) const {
    std::string values;
    bool found = false;
    for (const auto& [field, value] : fields) {
      if (!ascii::iequals(field, name)) continue;
      if (found) values += '|';
      values += value;
      found = true;
    }
    return found ? values : "-";
  }
};

inline ReadHead read_head(const std::string& text) {
  ReadHead head;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find("\r\n", begin);
    if (end == std::string::npos) {
      ADD_FAILURE() << "no empty line in " << text;
      return head;
    }
    const std::string line = text.substr(begin, end - begin);
    begin = end + 2;
    if (line.empty()) break;
    if (head.first_line.empty()) {
      head.first_line = line;
      continue;
    }
    const size_t colon = line.find(": ");
    EXPECT_NE(colon, std::string::npos) << line;
    head.fields.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  head.body = text.substr(begin);
  return head;
}

}  // namespace streamgate
