// What the links in one rewritten document are made of.
#pragma once

#include <cstddef>
#include <string_view>

#include "common/config.h"

namespace streamgate {

// Constant for one playlist. All strings are owned by the caller and stay until finish().
struct PlaylistContext {
  std::string_view base_url;      // the final upstream URL, after redirects
  std::string_view proxy_origin;  // `https://proxy.example/prefix`, `/prefix` or empty
  std::string_view route_path;    // `/stream`
  // Ready-made `&name=value` text for behind `url=...`: for children on the base's origin, and on
  // another one.
  std::string_view child_parameters;
  std::string_view cross_origin_child_parameters;
  HlsConfig::ChildUrls child_urls = HlsConfig::ChildUrls::query;
  size_t longest_line = size_t{1024} * 1024;  // bytes; a longer line passes through unchanged
};

}  // namespace streamgate
