// The cookies of one fetch (RFC 6265, and 6265bis where browsers follow it): the cookies that its
// link carries, and the cookies that upstreams set on the way. They are matched for each request,
// and are not stored beyond the fetch.
//
// The text of a link (`sg_c`) is base64url of `name=value;d=domain;p=path;s;x=expiry`, one cookie
// after the other, separated by a space. `d=.example.org` is a domain and its subdomains,
// `d=example.org` that host alone. `s`: https only. `x`: seconds since 1970; without it the cookie
// has no expiry. `%`, `;`, spaces and tabs in a name, value or path are percent-encoded. The name
// may be empty: `Set-Cookie: value`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/url.h"
#include "worker/http/message.h"

namespace streamgate {

class Cookies {
 public:
  // Beyond these limits the oldest cookies are dropped. Each child of a playlist may carry all
  // cookies in its request line.
  static constexpr size_t kMaxCookies = 32;
  static constexpr size_t kMaxBytes = size_t{4} * 1024 + 512;  // of the text, before it is encoded

  // The first kMaxCookies of a link. Malformed and expired cookies are left out.
  static Cookies from_link(std::string_view text, int64_t now);
  // The same cookies in the same order always give the same text. Empty if there are none.
  std::string to_link(int64_t now) const;

  // Takes the Set-Cookie fields of the answer from `url` (RFC 6265 5.3). A cookie for a public
  // suffix or for another host is ignored; an IP address and a public suffix have cookies for
  // themselves only. A cookie with `Secure` goes to https only if https has set it. `now`: seconds
  // since 1970.
  void take(const HeaderFields& fields, const HttpUrl& url, int64_t now);

  // `a=1; b=2`: the cookies for a request for `url`, longer paths first (RFC 6265 5.4). Empty if
  // there are none.
  std::string for_request(const HttpUrl& url, int64_t now) const;

  bool empty() const { return cookies_.empty(); }

 private:
  struct Cookie {
    std::string name;
    std::string value;
    std::string domain;  // lower case, without a dot in front
    std::string path = "/";
    bool host_only = true;
    bool secure = false;
    std::optional<int64_t> expiry = std::nullopt;  // seconds since 1970

    size_t bytes() const;  // of its text in a link
    bool is_expired(int64_t now) const { return expiry && *expiry <= now; }
    bool matches(const HttpUrl& url) const;
    bool is_same(const Cookie& other) const;
  };

  static std::optional<Cookie> parse_link_item(std::string_view item);
  static std::optional<Cookie> parse_set_cookie(std::string_view field, const HttpUrl& url,
                                                int64_t now);
  static void append_link_item(const Cookie& cookie, std::string& out);
  bool is_overlay(const Cookie& cookie) const;
  void add(Cookie cookie, int64_t now);

  std::vector<Cookie> cookies_;  // in the order of their creation
  size_t bytes_ = 0;             // of them all
};

// The value of Cookie: the pairs of `own` without those whose name `newer` has too, then `newer`. A
// pair without `=` has an empty name.
std::string merge_cookies(std::string_view own, std::string_view newer);

}  // namespace streamgate
