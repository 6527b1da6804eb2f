// conf/streamgate.yaml, the manual of the configuration, agrees with the code.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "master/config/loader.h"
#include "master/config/table.h"

namespace streamgate {
namespace {

std::string manual() {
  std::ifstream file(STREAMGATE_SOURCE_DIR "/conf/streamgate.yaml");
  return {std::istreambuf_iterator<char>(file), {}};
}

// The offset of the first line from `start` on that holds this key at this depth; 0: none.
size_t find_key(const std::string& text, const std::string& name, size_t depth, size_t start) {
  const std::string line = "\n" + std::string(2 * depth, ' ') + name + ":";
  const size_t found = text.find(line, start);
  return found == std::string::npos ? 0 : found;
}

TEST(ConfigManual, HoldsTheDefaults) {
  const LoadedConfig loaded = parse_config(manual(), "conf/streamgate.yaml", {});
  for (const std::string& problem : loaded.problems) ADD_FAILURE() << problem;
  EXPECT_EQ(default_config(), loaded.config);
}

TEST(ConfigManual, HoldsEveryKey) {
  const std::string text = "\n" + manual();
  for (const ConfigKey& key : config_keys()) {
    std::string rest = key.path;
    size_t place = 0;
    size_t depth = 0;
    for (size_t dot = rest.find('.'); dot != std::string::npos; dot = rest.find('.')) {
      place = find_key(text, rest.substr(0, dot), depth++, place);
      rest.erase(0, dot + 1);
    }
    EXPECT_NE(0U, find_key(text, rest, depth, place)) << key.path;
  }
}

TEST(ConfigManual, ExplainsEveryKey) {
  const std::string text = manual();
  bool explained = false;
  size_t start = 0;
  while (start < text.size()) {
    const size_t end = text.find('\n', start);
    const std::string line = text.substr(start, end - start);
    const size_t first = line.find_first_not_of(' ');
    const bool is_comment = first != std::string::npos && line[first] == '#';
    const bool is_section =
        line.ends_with(":") && is_config_section(line.substr(0, line.size() - 1));
    const bool is_key =
        first != std::string::npos && !is_comment && !is_section && line != "  tls:";
    EXPECT_TRUE(explained || !is_key) << line;
    explained = is_comment;
    start = end + 1;
  }
}

TEST(ConfigManual, ExplainsThatAFinIsAnAbort) {
  EXPECT_NE(std::string::npos, manual().find("FIN"));
}

}  // namespace
}  // namespace streamgate
