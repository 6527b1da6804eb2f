// The files of the page, embedded at build time. embed_page.cmake writes page_assets.cc.
#pragma once

#include <span>
#include <string_view>

namespace streamgate {

// All views are static.
struct PageAsset {
  std::string_view path;     // below `/`, such as `page/app.js`; empty: the page itself
  std::string_view type;     // Content-Type
  std::string_view hash;     // of the content, hexadecimal
  std::string_view gzipped;  // the content, as gzip
};

std::span<const PageAsset> page_assets();

}  // namespace streamgate
