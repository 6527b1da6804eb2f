// The body of one playlist on its way through: inflated if it came coded, rewritten, gathered until
// it is sent. Owns the strings that the rewriter looks at.
//
// Level 1: an evbuffer, but no socket and no event loop.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "worker/event.h"
#include "worker/inflater.h"
#include "worker/playlist_rewriter.h"

namespace streamgate {

// What PlaylistContext points to, owned.
struct PlaylistSetting {
  std::string base_url;
  std::string proxy_origin;
  std::string route_path;
  std::string child_parameters;
  std::string cross_origin_child_parameters;
  HlsConfig::ChildUrls child_urls = HlsConfig::ChildUrls::query;
  size_t longest_line = 0;
};

class PlaylistBody {
 public:
  // `coding` is identity, gzip or deflate.
  PlaylistBody(PlaylistSetting setting, ContentCoding coding);

  // Bytes as they came from the upstream; what is ready stands in output(). bad_response if they
  // grow out of all proportion: what output() holds then is not to be used.
  Result<void> write(std::string_view bytes);
  Result<void> finish();

  evbuffer* output() { return output_.get(); }
  uint64_t lines_too_long() const { return rewriter_.lines_too_long(); }

 private:
  Result<void> inflate(std::string_view bytes);
  Result<void> check_growth() const;

  PlaylistSetting setting_;
  std::optional<Inflater> inflater_;
  Buffer output_;
  PlaylistRewriter rewriter_;
};

}  // namespace streamgate
