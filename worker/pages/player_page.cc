#include "worker/pages/player_page.h"

#include <algorithm>

#include "common/check.h"
#include "common/url.h"
#include "worker/http/grammar.h"
#include "worker/http/head_writer.h"
#include "worker/http/inflater.h"

namespace streamgate {
namespace {

constexpr size_t kUsualHeadBytes = 1024;
constexpr std::string_view kMountedBelow = "/api/proxy/";

// Neither CORS fields nor a Cross-Origin-Resource-Policy for others: only the page uses its files.
constexpr std::string_view kFixedFields =
    "Cache-Control: no-cache\r\n"
    "Vary: Accept-Encoding\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n";

// RFC 9110 12.4.2: `q=0` refuses a coding.
bool is_refused(std::string_view parameters) {
  const size_t q = parameters.find("q=");
  if (q == std::string_view::npos) return false;
  const std::string_view weight = parameters.substr(q + 2);
  return weight.find_first_of("123456789") == std::string_view::npos;
}

bool accepts_gzip(const HeaderFields& fields) {
  bool accepted = false;
  for (const HeaderField& field : fields) {
    if (!ascii::iequals(field.name, "Accept-Encoding")) continue;
    http::for_each_element(field.value, [&](std::string_view element) {
      const size_t end = std::min(element.find(';'), element.size());
      const std::string_view coding = ascii::trim(element.substr(0, end));
      if (ascii::iequals(coding, "gzip")) accepted = !is_refused(element.substr(end));
    });
  }
  return accepted;
}

// Both forms of a file have the same content, so a client that has either gets a 304.
bool has_tag(const HeaderFields& fields, std::string_view hash) {
  bool found = false;
  for (const HeaderField& field : fields) {
    if (!ascii::iequals(field.name, "If-None-Match")) continue;
    http::for_each_element(field.value, [&](std::string_view tag) {
      if (tag.starts_with("W/")) tag.remove_prefix(2);
      if (tag.starts_with('"')) tag.remove_prefix(1);
      found = found || tag == "*" || tag.starts_with(hash);
    });
  }
  return found;
}

std::string tag_of(const PageAsset& asset, bool gzipped) {
  return '"' + std::string(asset.hash) + (gzipped ? "-gzip\"" : "\"");
}

std::string inflated(std::string_view gzipped) {
  std::string content;
  Inflater inflater(ContentCoding::gzip);
  while (!gzipped.empty() || inflater.may_have_more()) {
    const auto piece = inflater.next(gzipped);
    CHECK(piece);  // the build has written it
    content += *piece;
  }
  return content;
}

// hls.js runs a worker (a file of the page), plays from memory (`blob:`), and makes empty text
// tracks (`data:,WEBVTT`). page/trust.js sets the default policy for Trusted Types.
std::string security_policy(std::string_view public_url) {
  std::string own = "'self'";
  if (const auto url = parse_http_url(public_url)) own += ' ' + url->origin();
  return "default-src 'none'; script-src 'self'; style-src 'self'; worker-src 'self'; img-src " +
         own + "; media-src " + own + " blob: data:; connect-src " + own +
         "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
         "require-trusted-types-for 'script'; trusted-types default";
}

}  // namespace

const PageAsset* find_page_asset(std::string_view target) {
  std::string_view path = target.substr(0, target.find('?'));
  if (!path.starts_with('/')) return nullptr;
  path.remove_prefix(path.starts_with(kMountedBelow) ? kMountedBelow.size() : 1);
  const auto assets = page_assets();
  const auto found = std::find_if(assets.begin(), assets.end(),
                                  [path](const PageAsset& asset) { return asset.path == path; });
  return found == assets.end() ? nullptr : &*found;
}

PageResponse write_page_response(const PageAsset& asset, const PageRequest& request) {
  const HeaderFields& fields = request.client.fields;
  const bool gzipped = accepts_gzip(fields);
  const int status = has_tag(fields, asset.hash) ? 304 : 200;
  const std::string plain = gzipped || status == 304 ? std::string() : inflated(asset.gzipped);
  const std::string_view body = gzipped ? asset.gzipped : std::string_view(plain);

  HeadWriter head(kUsualHeadBytes);
  head.status_line(status);
  if (status == 200) {
    head.field("Content-Type", asset.type);
    if (gzipped) head.raw_lines("Content-Encoding: gzip\r\n");
    head.number("Content-Length", body.size());
  }
  head.field("Date", http_date());
  head.field("ETag", tag_of(asset, gzipped));
  head.raw_lines(kFixedFields);
  head.field("Content-Security-Policy", security_policy(request.public_url));
  head.connection(request.keep_alive, request.client.minor_version);
  std::string text = std::move(head).finish();
  if (status == 200 && request.client.method != Method::head) text += body;
  return {status, std::move(text)};
}

}  // namespace streamgate
