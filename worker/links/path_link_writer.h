// Writes the links of the path form for the children of one document (worker/links/path_link.h).
#pragma once

#include <string>
#include <string_view>

#include "worker/links/document_setting.h"
#include "worker/links/path_link.h"
#include "worker/loop/block_buffer.h"

namespace streamgate {

class PathLinkWriter {
 public:
  // `parameters` and `grant_scope` are those of a child in the directory of the document: a query
  // form, with the grant if links carry one, and the grant's scope or nothing. `setting` outlives
  // the writer's use.
  void begin(const DocumentSetting& setting, std::string_view parameters,
             std::string_view grant_scope);

  // Whether the client resolves `reference` to the right link by itself.
  bool stays(std::string_view reference) const;
  // The same, but perhaps false for a reference that stays: costs a few instructions.
  bool surely_stays(std::string_view reference) const {
    return keeps_relative_ && is_plain_relative(reference);
  }

  // Whether surely_stays() is true of each plain relative reference.
  bool keeps_plain_references() const { return keeps_relative_; }

  // Appends the link of a relative reference that needs only a prefix. False, with nothing
  // appended, for any other reference.
  bool append_sibling(std::string_view reference, BlockBuffer& out);

  enum class Appended { link, nothing, impossible };
  // Appends the link of `absolute`, the resolved `reference`. nothing: the reference stays, because
  // the client resolves it to the same link; never for an empty `reference`. impossible: the path
  // form cannot name the URL.
  Appended append(std::string_view absolute, std::string_view parameters,
                  std::string_view grant_scope, std::string_view reference, BlockBuffer& out);

  // The carry of a child with these values. Valid until the next call.
  std::string_view carry_of_child(std::string_view absolute, std::string_view parameters,
                                  std::string_view grant_scope);
  // `<proxy_origin>/at`.
  std::string_view route() const { return route_; }

 private:
  const DocumentSetting* setting_ = nullptr;
  bool has_grants_ = false;
  bool keeps_relative_ = false;  // the children's carry is the document's own
  size_t directories_ = 0;       // of base_url
  std::string route_;
  std::string directory_link_;  // of the directory of base_url; empty: it cannot be named
  // The last carry and its arguments.
  std::string carry_;
  std::string carried_parameters_;
  std::string carried_scope_;
  bool has_carry_ = false;
  std::string scratch_;
};

}  // namespace streamgate
