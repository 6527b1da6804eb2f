// The settings for rewriting the links of one document.
#pragma once

#include <cstddef>
#include <string>

#include "common/config.h"

namespace streamgate {

struct Access;
class GrantKeys;

// Does not change while the document is rewritten. It is filled in again for the next document, so
// that its strings keep their memory.
struct DocumentSetting {
  std::string base_url;      // the final upstream URL, after redirects
  std::string proxy_origin;  // `https://proxy.example/prefix`, `/prefix` or empty
  std::string route_path;    // `/stream`
  // The query form of the document's LinkContext, for children on the origin of base_url and for
  // children on any other origin.
  std::string same_origin_parameters;
  std::string other_origin_parameters;
  // The same with the cookies that this document and the redirects before it have set. Empty unless
  // has_new_cookies.
  bool has_new_cookies = false;
  std::string same_origin_parameters_with_cookies = {};
  std::string other_origin_parameters_with_cookies = {};
  // The access that the client has proved. The links carry grants for it. Null: they carry none.
  const Access* access = nullptr;
  const GrantKeys* grant_keys = nullptr;
  HlsConfig::ChildUrls child_urls = HlsConfig::ChildUrls::query;
  // The carry of the document's own link if that is one of the path form to base_url: relative
  // references then resolve to links with this carry. Empty for other links.
  std::string own_carry = {};
  bool segments_are_direct = false;  // segments keep the upstream's URLs
  unsigned max_height = 0;           // of variants; 0: no limit
  unsigned max_bandwidth = 0;        // bits per second
  std::string variables = {};        // LinkContext::variables of the document's link
  bool list_attributes = false;      // rewrite tvg-logo, url-tvg, x-tvg-url and catchup-source too
  size_t longest_line = size_t{1024} * 1024;  // bytes; a longer line passes through unchanged

  bool operator==(const DocumentSetting&) const = default;
};

}  // namespace streamgate
