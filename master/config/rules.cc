#include "master/config/rules.h"

#include <algorithm>
#include <string>
#include <vector>

#include "master/config/admin.h"
#include "master/config/hosts.h"
#include "master/config/listen.h"
#include "master/config/log_lines.h"
#include "master/config/token_keys.h"
#include "master/config/values.h"

namespace streamgate {
namespace {

void check_cors_rules(const CorsConfig& cors, const ConfigLines& lines, ConfigProblems& problems) {
  const std::vector<std::string>& origins = cors.allow_origin;
  const int line = line_of(lines, "cors.allow_origin");
  if (origins.empty()) {
    problems.push_back({line, "cors.allow_origin: needs * or at least one origin"});
  }
  const bool has_star = std::find(origins.begin(), origins.end(), "*") != origins.end();
  if (has_star && origins.size() > 1) {
    problems.push_back({line, "cors.allow_origin: * cannot stand beside other origins"});
  }
  if (has_star && cors.allow_credentials) {
    problems.push_back({line_of(lines, "cors.allow_credentials"),
                        "cors.allow_credentials: browsers refuse credentials with allow_origin: *; "
                        "list the origins"});
  }
}

}  // namespace

void check_config_rules(const Config& config, const ConfigLines& lines, ConfigProblems& problems) {
  check_listen_rules(config.listen, lines, problems);
  check_cors_rules(config.cors, lines, problems);
  check_admin_rules(config, lines, problems);
  check_proxy_rules(config, lines, problems);
  check_token_rules(config.security, lines, problems);
  check_log_rules(config.log, lines, problems);
  if (config.limits.request_head < config.limits.request_line) {
    const int line =
        std::max(line_of(lines, "limits.request_head"), line_of(lines, "limits.request_line"));
    problems.push_back({line, "limits.request_head: " + print_size(config.limits.request_head) +
                                  " is less than limits.request_line, which is part of it (" +
                                  print_size(config.limits.request_line) + ")"});
  }
  if (config.cache.memory > 0 && config.cache.memory / 2 < config.cache.object_size) {
    problems.push_back(
        {line_of(lines, "cache.memory"), "cache.memory: " + print_size(config.cache.memory) +
                                             " is less than two objects (cache.object_size: " +
                                             print_size(config.cache.object_size) + ")"});
  }
  if (config.limits.connections < config.workers) {
    problems.push_back(
        {line_of(lines, "limits.connections"),
         "limits.connections: is less than workers; each worker needs at least one"});
  }
}

void ignore_untrusted_settings(Config& config, const ConfigLines& lines, ConfigProblems& warnings) {
  if (config.client_address == ClientAddress::peer || lines.contains("trusted_proxies")) return;
  config.client_address = ClientAddress::peer;
  warnings.push_back({line_of(lines, "client_address"),
                      "client_address: is ignored, because trusted_proxies is not set"});
}

ConfigProblems config_warnings(const Config& config, const ConfigLines& lines) {
  ConfigProblems warnings;
  if (lines.contains("upstream.tls.insecure_hosts") &&
      !config.upstream.tls.insecure_hosts.empty()) {
    warnings.push_back({line_of(lines, "upstream.tls.insecure_hosts"),
                        "upstream.tls.insecure_hosts: is an old key; write `verify: false` below "
                        "the host in upstream.hosts"});
  }
  if (lines.contains("log.fields") && config.log.format == LogFormat::combined) {
    warnings.push_back({line_of(lines, "log.fields"),
                        "log.fields: has no effect, because log.format is combined"});
  }
  return warnings;
}

}  // namespace streamgate
