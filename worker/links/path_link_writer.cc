#include "worker/links/path_link_writer.h"

#include "common/ascii.h"
#include "common/percent_table.h"
#include "common/url.h"
#include "worker/links/upstream_url.h"

namespace streamgate {
namespace {

// `/stream` -> `/at`
std::string_view without_stream(std::string_view route_path) {
  return route_path.substr(0, route_path.rfind('/'));
}

// The scope of an origin: `https://cdn.example/`.
std::string origin_scope(std::string_view absolute) {
  const UriParts parts = split_uri(absolute);
  const auto url =
      parse_http_url(ascii::lower(parts.scheme) + "://" + std::string(parts.authority));
  return url ? url->origin() + "/" : std::string();
}

}  // namespace

void PathLinkWriter::begin(const DocumentSetting& setting, std::string_view parameters,
                           std::string_view grant_scope) {
  setting_ = &setting;
  has_carry_ = false;
  has_grants_ = setting.access != nullptr;
  route_.assign(setting.proxy_origin).append(without_stream(setting.route_path)).append("/at");
  const UriParts base = split_uri(setting.base_url);
  directories_ = directories_above(base.path);
  std::string directory;
  resolve_reference(base, ".", directory);
  const std::string_view carry = carry_of_child(directory, parameters, grant_scope);
  keeps_relative_ = !setting.own_carry.empty() && carry == setting.own_carry;
  directory_link_ = route_;
  if (!append_path_link(carry, directory, directory_link_)) directory_link_.clear();
}

bool PathLinkWriter::stays(std::string_view reference) const {
  if (!keeps_relative_ || !is_relative_in_place(reference, directories_)) return false;
  // A grant covers what lies below its directory.
  return !has_grants_ ||
         (reference.front() != '.' && reference.find("/.") == reference.npos &&
          reference.find("%2") == reference.npos && !has_tab_or_line_end(reference));
}

bool PathLinkWriter::append_sibling(std::string_view reference, BlockBuffer& out) {
  if (directory_link_.empty()) return false;
  const char first = reference.front();
  if (first == '?' || first == '#' || reference.find("{$") != reference.npos) return false;
  // Directories further down may have grants of their own.
  if (has_grants_ && reference.find('/') != reference.npos) return false;
  if (has_query_with_token(reference)) return false;
  constexpr unsigned kNotPlain = kColonByte | kIllegalByte;
  if ((byte_classes_of(reference) & kNotPlain) != 0) return false;
  if (first == '/' || first == '.' || reference.find("/.") != reference.npos ||
      reference.find('%') != reference.npos) {
    return false;
  }
  out.append(directory_link_);
  out.append(reference);
  return true;
}

PathLinkWriter::Appended PathLinkWriter::append(std::string_view absolute,
                                                std::string_view parameters,
                                                std::string_view grant_scope,
                                                std::string_view reference, BlockBuffer& out) {
  const std::string_view carry = carry_of_child(absolute, parameters, grant_scope);
  const bool is_own = !setting_->own_carry.empty() && carry == setting_->own_carry;
  if (is_own && is_relative_in_place(reference, directories_)) return Appended::nothing;
  scratch_ = route_;
  if (has_query_with_token(absolute)) return Appended::impossible;
  if (!append_path_link(carry, absolute, scratch_)) return Appended::impossible;
  out.append(scratch_);
  return Appended::link;
}

std::string_view PathLinkWriter::carry_of_child(std::string_view absolute,
                                                std::string_view parameters,
                                                std::string_view grant_scope) {
  if (parameters.empty()) return "-";
  const std::string scope = grant_scope.empty() ? origin_scope(absolute) : std::string(grant_scope);
  if (has_carry_ && parameters == carried_parameters_ && scope == carried_scope_) return carry_;
  carry_ = carry_of(parameters, scope);
  carried_parameters_ = parameters;
  carried_scope_ = scope;
  has_carry_ = true;
  return carry_;
}

}  // namespace streamgate
