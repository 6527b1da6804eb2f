#include "worker/documents/dash/mpd_patch.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace streamgate {
namespace {

// The steps of `/MPD/Period[@id='a/b']/@media`, without their conditions: MPD, Period, @media.
std::vector<std::string_view> steps_of(std::string_view path) {
  std::vector<std::string_view> steps;
  size_t begin = 0;
  char quote = '\0';
  size_t brackets = 0;
  const auto end_step = [&](size_t end) {
    const std::string_view step = path.substr(begin, end - begin);
    const std::string_view name = step.substr(0, step.find('['));
    if (!name.empty()) steps.push_back(name);
    begin = end + 1;
  };
  for (size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (quote != '\0') {
      if (c == quote) quote = '\0';
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '[') {
      ++brackets;
    } else if (c == ']' && brackets > 0) {
      --brackets;
    } else if (c == '/' && brackets == 0) {
      end_step(i);
    }
  }
  end_step(path.size());
  return steps;
}

}  // namespace

PatchOperation patch_operation(const PatchAttributes& attributes) {
  std::vector<std::string_view> steps = steps_of(attributes.sel);
  const bool is_add = attributes.name == "add";
  std::string_view attribute;
  bool is_text = false;
  if (is_add && attributes.type.starts_with('@')) {
    attribute = attributes.type.substr(1);
  } else if (!is_add && !steps.empty()) {
    is_text = steps.back() == "text()";
    if (steps.back().starts_with('@')) attribute = steps.back().substr(1);
    if (is_text || !attribute.empty()) steps.pop_back();
  }
  PatchOperation operation;
  operation.level = steps.size();
  if (attribute.empty() && !is_text) {
    const bool is_sibling = attributes.pos == "before" || attributes.pos == "after";
    if (is_add && !is_sibling) ++operation.level;
    return operation;
  }
  const MpdElement& element =
      mpd_element(steps.empty() ? std::string_view() : local_name(steps.back()));
  const bool is_url = is_remote(attribute) || has_url(element, attribute);
  if (is_text ? element.has_text : is_url) {
    operation.element = &element;
    operation.attribute = attribute;
  }
  return operation;
}

}  // namespace streamgate
