#include "master/config/log_lines.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <utility>

#include "common/log_events.h"
#include "master/config/values.h"

namespace streamgate {
namespace {

constexpr std::string_view kLevels = "log.levels";
constexpr std::string_view kAccess = "access";

constexpr std::array<std::pair<std::string_view, std::optional<LogLevel>>, 5> kLevelWords{
    {{"debug", LogLevel::debug},
     {"info", LogLevel::info},
     {"warn", LogLevel::warn},
     {"error", LogLevel::error},
     {"off", std::nullopt}}};

// `dns.server_silent`, `dns.*` or `access`.
bool is_known(std::string_view events) {
  if (events == kAccess) return true;
  return std::any_of(std::begin(kLogEvents), std::end(kLogEvents), [&](std::string_view name) {
    if (name == events) return true;
    const size_t dot = name.find('.');
    return dot != name.npos && events.size() == dot + 2 && events.back() == '*' &&
           events.starts_with(name.substr(0, dot + 1));
  });
}

void refuse(const ConfigNode& node, const std::string& sentence, ConfigProblems& problems) {
  problems.push_back({node.line, std::string(kLevels) + "." + node.key + ": " + sentence});
}

void read_entry(const ConfigNode& node, std::vector<EventLevel>& levels, ConfigProblems& problems) {
  if (!is_known(node.key)) {
    return refuse(node,
                  "is neither an event of the log, nor all events of an area (dns.*), nor access",
                  problems);
  }
  const auto* const word = std::find_if(kLevelWords.begin(), kLevelWords.end(),
                                        [&](const auto& row) { return row.first == node.text; });
  if (node.kind != ConfigNode::Kind::scalar || word == kLevelWords.end()) {
    return refuse(node, "needs one of debug, info, warn, error and off", problems);
  }
  levels.push_back({node.key, word->second});
}

std::string print_levels(const Config& config) {
  std::string out = "{";
  for (const EventLevel& entry : config.log.levels) {
    const auto* const word =
        std::find_if(kLevelWords.begin(), kLevelWords.end(),
                     [&](const auto& row) { return row.second == entry.level; });
    if (out.size() > 1) out += ", ";
    out += yaml_text(entry.events) + ": " + yaml_text(word->first);
  }
  return out + "}";
}

}  // namespace

ConfigKey log_levels_key() {
  return {std::string(kLevels),
          [](const ConfigNode& node, Config& config, ConfigProblems& problems) {
            config.log.levels.clear();
            if (node.kind == ConfigNode::Kind::null) return;
            if (node.kind != ConfigNode::Kind::map) {
              problems.push_back(
                  {node.line, std::string(kLevels) + ": needs events with levels; {} is none"});
              return;
            }
            for (const ConfigNode& entry : node.items) {
              read_entry(entry, config.log.levels, problems);
            }
          },
          print_levels};
}

Result<std::vector<AccessField>> parse_access_field(std::string_view text) {
  std::string known;
  for (size_t i = 0; i < std::size(kAccessFieldNames); ++i) {
    if (kAccessFieldNames[i] == text) return std::vector{static_cast<AccessField>(i)};
    known += (known.empty() ? "" : ", ") + std::string(kAccessFieldNames[i]);
  }
  return Error{Reason::bad_request, "'" + std::string(text) + "' is not one of " + known};
}

std::vector<std::string> print_access_fields(const std::vector<AccessField>& fields) {
  std::vector<std::string> out;
  for (const AccessField field : fields) out.emplace_back(name_of(field));
  return out;
}

void check_log_rules(const LogConfig& log, const ConfigLines& lines, ConfigProblems& problems) {
  const int line = line_of(lines, "log.fields");
  if (log.fields.empty()) {
    problems.push_back({line, "log.fields: needs at least one field"});
  }
  for (auto field = log.fields.begin(); field != log.fields.end(); ++field) {
    if (std::find(log.fields.begin(), field, *field) == field) continue;
    problems.push_back({line, "log.fields: " + std::string(name_of(*field)) + " is listed twice"});
  }
}

}  // namespace streamgate
