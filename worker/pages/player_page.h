// GET / and GET /page/...: the page for people, which makes links, plays them and shows what
// happened. The same below `/api/proxy`. The files are in worker/pages/page/, embedded in the
// program.
//
// The page shares its origin with everything that upstreams send, so its safety depends on both
// sides:
// - Nothing from an upstream runs in this origin. Relayed answers have a sandbox, nosniff and no
//   active type (exchange/relayed_head.h), and requests for scripts, workers and styles are refused
//   (http/fetch_metadata.h). So `script-src 'self'` allows the files of the page only, although
//   `/stream` has the same origin.
// - No upstream can take the place of a file of the page: the paths are compared as a whole, and no
//   path of the page is one of `/stream`.
// - The page writes text of upstreams (names of channels, messages) as text only. The policy
//   forbids inline scripts, inline styles, and with Trusted Types every conversion of text to HTML.
// - No page of another origin can show this page in a frame or load its files. No file of the page
//   can become a service worker, which would see all requests of this origin.
// - The page requests nothing from other origins, and sends no Referer. It acts only when a person
//   presses a button: a link to the page may fill the form, but starts nothing.
#pragma once

#include <string>
#include <string_view>

#include "worker/http/message.h"
#include "worker/pages/page_assets.h"

namespace streamgate {

// The file at the path of `target`, or null. The query is ignored.
const PageAsset* find_page_asset(std::string_view target);

struct PageRequest {
  const RequestHead& client;
  bool keep_alive = true;
  // `public_url` of the configuration. The links of playlists begin with it, so the page may
  // request its origin too.
  std::string_view public_url = {};
};

struct PageResponse {
  int status;        // 200, or 304 if the client has the file
  std::string text;  // head and body, ready to send
};

PageResponse write_page_response(const PageAsset& asset, const PageRequest& request);

}  // namespace streamgate
