#include "worker/documents/dash/mpd_namespaces.h"

#include <algorithm>

#include "common/ascii.h"
#include "worker/documents/dash/mpd_elements.h"

namespace streamgate {
namespace {

constexpr std::string_view kDeclaration = "xmlns";

// Of an MPD and of a patch of one, in each edition and letter case.
constexpr std::string_view kDash = "urn:mpeg:dash:schema:mpd";

// Whether an attribute declares a prefix: `xmlns` or `xmlns:mpd`.
bool is_declaration(std::string_view attribute) {
  return attribute.starts_with(kDeclaration) &&
         (attribute.size() == kDeclaration.size() || attribute[kDeclaration.size()] == ':');
}

// The prefix that the attribute declares, with its colon.
std::string declared_prefix(std::string_view attribute) {
  if (attribute.size() == kDeclaration.size()) return {};
  return std::string(attribute.substr(kDeclaration.size() + 1)) + ":";
}

}  // namespace

void MpdNamespaces::begin() {
  outermost_prefix_.clear();
  outermost_.clear();
  bindings_.clear();
  is_default_of_mpd_ = true;
}

bool MpdNamespaces::start_outermost(std::string_view name, const char** attributes, size_t depth) {
  const std::string_view prefix = prefix_of(name);
  outermost_prefix_ = prefix;
  outermost_.clear();
  for (const char** at = attributes; *at != nullptr; at += 2) {
    if (is_declaration(at[0]) && declared_prefix(at[0]) == prefix) outermost_ = at[1];
  }
  if (!start_element(attributes, depth)) return false;
  if (!has_prefix_of_mpd(prefix) && !bind(prefix, true, depth)) return false;
  is_default_of_mpd_ = has_prefix_of_mpd({});
  return true;
}

bool MpdNamespaces::start_element(const char** attributes, size_t depth) {
  for (const char** at = attributes; *at != nullptr; at += 2) {
    if (!is_declaration(at[0])) continue;
    if (!bind(declared_prefix(at[0]), is_namespace_of_mpd(at[1]), depth)) return false;
  }
  return true;
}

void MpdNamespaces::end_element(size_t depth) {
  while (!bindings_.empty() && bindings_.back().depth >= depth) {
    bindings_.pop_back();
    is_default_of_mpd_ = has_prefix_of_mpd({});
  }
}

bool MpdNamespaces::is_of_mpd(std::string_view name) const {
  const std::string_view prefix = prefix_of(name);
  if (!prefix.empty()) return has_prefix_of_mpd(prefix);
  return is_default_of_mpd_ || outermost_prefix_.empty();
}

const MpdNamespaces::Binding* MpdNamespaces::find(std::string_view prefix) const {
  const auto found = std::find_if(bindings_.rbegin(), bindings_.rend(),
                                  [&](const Binding& each) { return each.prefix == prefix; });
  return found == bindings_.rend() ? nullptr : &*found;
}

bool MpdNamespaces::has_prefix_of_mpd(std::string_view prefix) const {
  const Binding* const known = find(prefix);
  return known == nullptr ? prefix == outermost_prefix_ : known->is_of_mpd;
}

bool MpdNamespaces::bind(std::string_view prefix, bool is_of_mpd, size_t depth) {
  const Binding* const known = find(prefix);
  if (known != nullptr && known->is_of_mpd == is_of_mpd) return true;
  if (bindings_.size() == kMaxBindings || prefix.size() > kMaxPrefixBytes) return false;
  bindings_.push_back({depth, std::string(prefix), is_of_mpd});
  is_default_of_mpd_ = has_prefix_of_mpd({});
  return true;
}

bool MpdNamespaces::is_namespace_of_mpd(std::string_view uri) const {
  return uri.empty() || uri == outermost_ || ascii::istarts_with(uri, kDash);
}

}  // namespace streamgate
