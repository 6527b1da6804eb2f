// The body of one playlist on its way through: inflated if it came coded, rewritten, gathered until
// it is sent. Owns the strings that the rewriter looks at.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "worker/documents/hls/playlist_rewriter.h"
#include "worker/http/inflater.h"

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
  // To be filled in before begin().
  PlaylistSetting& setting() { return setting_; }
  // Comes first. `coding` is identity, gzip or deflate.
  void begin(ContentCoding coding);

  // Bytes as they came from the upstream; what is ready stands in output(). bad_response if they
  // grow out of all proportion: what output() holds then is not to be used.
  Result<void> write(std::string_view bytes);
  Result<void> finish();

  BlockBuffer& output() { return output_; }
  uint64_t lines_too_long() const { return rewriter_.lines_too_long(); }

  // What the next playlist would not need is given back; false if the rest is too large to keep.
  bool put_aside();

 private:
  Result<void> inflate(std::string_view bytes);
  Result<void> check_growth() const;

  PlaylistSetting setting_;
  std::optional<Inflater> inflater_;
  BlockBuffer output_;
  PlaylistRewriter rewriter_;
};

// Keeps the bodies that are done, few and small, for the next playlists: a live playlist is put
// together in less time than its memory takes to be found.
class PlaylistBodies {
 public:
  std::unique_ptr<PlaylistBody> lend();
  void give_back(std::unique_ptr<PlaylistBody> body);

 private:
  std::vector<std::unique_ptr<PlaylistBody>> idle_;
};

}  // namespace streamgate
