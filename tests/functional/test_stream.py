"""/stream: routes, methods, parameters, and the header fields of both directions."""

import json
from urllib.parse import quote

from harness import ProxyTest, main, stream_path
from upstream import Answer, ok, playlist, status


class Routes(ProxyTest):
    def test_get_returns_the_upstream_s_bytes_and_type(self):
        up = self.upstream(ok(b"hello", content_type="video/mp2t"))
        response = self.proxy().stream(up.url("/a.ts"))
        self.assertEqual((response.status, response.body), (200, b"hello"))
        self.assertEqual(response["Content-Type"], "video/mp2t")
        self.assertEqual(response["Content-Length"], "5")
        self.assertEqual(up.requests[0].line, "GET /a.ts HTTP/1.1")

    def test_head_returns_the_head_and_asks_the_upstream_with_head(self):
        up = self.upstream(Answer(b'HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: "x"\r\n\r\n'))
        response = self.proxy().stream(up.url("/a.ts"), method="HEAD")
        self.assertEqual((response.status, response.body), (200, b""))
        self.assertEqual(response["Content-Length"], "12345")
        self.assertEqual(response["ETag"], '"x"')
        self.assertEqual(up.requests[0].method, "HEAD")

    def test_both_routes_with_and_without_a_trailing_name(self):
        up = self.upstream(ok(b"hello"))
        proxy = self.proxy()
        for route in (
            "/stream",
            "/stream/seg.ts",
            "/api/proxy/stream",
            "/api/proxy/stream/index.m3u8",
        ):
            with self.subTest(route):
                self.assertEqual(proxy.ask(stream_path(up.url(), route)).body, b"hello")

    def test_links_of_a_playlist_have_the_requested_path_without_its_name(self):
        up = self.upstream(playlist("#EXTM3U\n#EXTINF:1,\na.ts\n"))
        proxy = self.proxy()
        for asked, expected in (
            ("/stream/x.m3u8", "/stream"),
            ("/api/proxy/stream/x", "/api/proxy/stream"),
        ):
            lines = proxy.ask(stream_path(up.url("/p/i.m3u8"), asked)).text.split("\n")
            self.assertEqual(
                lines[2], f"{proxy.origin}{expected}?url={quote(up.url('/p/a.ts'), safe='')}"
            )

    def test_other_paths_are_not_found(self):
        for path in (
            "/",
            "/streams?url=http://x/",
            "/stream/a/b?url=http://x/",
            "/api/proxy?url=http://x/",
            "/health/x",
        ):
            with self.subTest(path):
                self.assert_error(self.proxy().ask(path), 404, "not_found")

    def test_health_is_200_and_json(self):
        response = self.proxy().ask("/health")
        self.assertEqual(response.status, 200)
        self.assertIsInstance(json.loads(response.body), dict)
        self.assertEqual(response["Access-Control-Allow-Origin"], "*")
        head = self.proxy().ask("/health", method="HEAD")
        self.assertEqual((head.status, head.body), (200, b""))

    def test_every_upstream_status_is_relayed_unchanged(self):
        proxy = self.proxy()
        for code in (201, 404, 410, 429, 500, 503):
            up = self.upstream(
                status(code, {"Retry-After": "7", "Content-Type": "text/plain"}, b"so")
            )
            response = proxy.stream(up.url())
            self.assertEqual(
                (response.status, response.body, response["Retry-After"]), (code, b"so", "7")
            )
            self.assertIsNone(response["X-Streamgate-Error"])

    def test_a_204_has_no_body_and_no_framing(self):
        response = self.proxy().stream(self.upstream(status(204)).url())
        self.assertEqual((response.status, response.body), (204, b""))
        self.assertIsNone(response["Content-Length"])
        self.assertIsNone(response["Transfer-Encoding"])


class Cors(ProxyTest):
    def test_every_answer_allows_every_origin_and_exposes_what_players_read(self):
        up = self.upstream({"/a.ts": ok(b"x"), "/p.m3u8": playlist("#EXTM3U\n")})
        proxy = self.proxy()
        answers = [
            proxy.stream(up.url(path), {"Origin": "http://page.example"})
            for path in ("/a.ts", "/p.m3u8", "/404")
        ]
        answers += [proxy.ask("/nothing"), proxy.ask("/stream"), proxy.ask("/health")]
        for response in answers:
            self.assertEqual(response["Access-Control-Allow-Origin"], "*", response)
        exposed = {
            name.strip().lower() for name in answers[0]["Access-Control-Expose-Headers"].split(",")
        }
        self.assertLessEqual(
            {"content-length", "content-range", "accept-ranges", "etag", "x-streamgate-error"},
            exposed,
        )

    def test_cors_fields_of_the_upstream_are_dropped(self):
        up = self.upstream(
            ok(
                b"x",
                {
                    "Access-Control-Allow-Origin": "https://other.example",
                    "Access-Control-Allow-Credentials": "true",
                },
            )
        )
        response = self.proxy().stream(up.url())
        self.assertEqual(response.all("Access-Control-Allow-Origin"), ["*"])
        self.assertIsNone(response["Access-Control-Allow-Credentials"])

    def test_a_preflight_is_answered_without_the_upstream(self):
        up = self.upstream(ok(b"x"))
        response = self.proxy().stream(
            up.url(),
            {
                "Origin": "http://page.example",
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "range, x-playback-session-id",
            },
            method="OPTIONS",
        )
        self.assertEqual((response.status, response.body), (204, b""))
        self.assertIn("GET", response["Access-Control-Allow-Methods"])
        allowed = response["Access-Control-Allow-Headers"].lower()
        self.assertTrue(
            allowed == "*" or ("range" in allowed and "x-playback-session-id" in allowed), allowed
        )
        self.assertTrue(response["Access-Control-Max-Age"])
        self.assertEqual(up.connections, 0)

    def test_a_plain_options_is_answered_without_the_upstream(self):
        up = self.upstream(ok(b"x"))
        self.assertEqual(self.proxy().stream(up.url(), method="OPTIONS").status, 204)
        self.assertEqual(up.connections, 0)

    def test_the_allowed_origin_is_configurable(self):
        proxy = self.proxy(cors={"allow_origin": "https://player.example"})
        self.assertEqual(
            proxy.ask("/nothing")["Access-Control-Allow-Origin"], "https://player.example"
        )


class Parameters(ProxyTest):
    def target_for(self, query):
        """The request target at the upstream for /stream?<query>; {up} is its encoded origin."""
        up = self.upstream(ok(b"x"))
        response = self.proxy().ask("/stream?" + query.replace("{up}", quote(up.origin, safe="")))
        self.assertEqual(response.status, 200, response)
        return up.requests[0].target

    def test_other_parameters_belong_to_the_upstream(self):
        self.assertEqual(
            self.target_for("url={up}%2Fa%3Fx%3D1&token=a%2Fb&CMCD=bl%3D1"),
            "/a?x=1&token=a%2Fb&CMCD=bl%3D1",
        )
        self.assertEqual(self.target_for("url={up}%2Fa&b=2"), "/a?b=2")
        self.assertEqual(self.target_for("before=1&url={up}%2Fa"), "/a?before=1")

    def test_hls_directives_replace_parameters_of_the_same_name(self):
        self.assertEqual(
            self.target_for("_HLS_msn=7&url={up}%2Fa%3F_HLS_msn%3D6%26t%3D1&_HLS_part=2"),
            "/a?_HLS_msn=7&t=1&_HLS_part=2",
        )

    def test_the_upstream_s_query_keeps_its_bytes(self):
        self.assertEqual(
            self.target_for("url={up}%2Fa%252Fb%3Fs%3Da%252Bb%2Bc%7E%26e"), "/a%2Fb?s=a%2Bb+c~&e"
        )

    def test_a_fragment_is_not_sent(self):
        self.assertEqual(self.target_for("url={up}%2Fa%3Fx%23frag"), "/a?x")

    def test_our_own_parameters_do_not_reach_the_upstream(self):
        self.assertEqual(
            self.target_for("url={up}%2Fa&referer=http%3A%2F%2Fr%2F&h_X-A=1&sg_ext=.ts"), "/a"
        )

    def test_a_missing_repeated_or_unusable_url_is_a_bad_url(self):
        for query in (
            "",
            "?",
            "?url=",
            "?url=a&url=b",
            "?url=ftp%3A%2F%2Fx%2F",
            "?url=%2F%2Fx%2F",
            "?url=http%3A%2F%2F",
            "?url=http%3A%2F%2Fx%3A0%2F",
            "?url=http%3A%2F%2Fx%3A99999%2F",
            "?url=http%3A%2F%2Fx%2F%0d%0aA%3A1",
            "?url=http%3A%2F%2Fx%2F%00",
        ):
            with self.subTest(query[:60]):
                self.assert_error(self.proxy().ask("/stream" + query), 400, "bad_url")


class UpstreamRequest(ProxyTest):
    def test_the_upstream_sees_a_browser_and_no_field_of_the_client(self):
        up = self.upstream(ok(b"x"))
        self.proxy().stream(
            up.url("/a"),
            {
                "User-Agent": "player",
                "Cookie": "c=1",
                "X-Odd": "1",
                "Authorization": "Basic eA==",
                "Referer": "http://page.example/",
            },
        )
        request = up.requests[0]
        self.assertEqual(request["Host"], f"{up.host}:{up.port}")
        self.assertEqual(request["Referer"], up.origin + "/")
        self.assertEqual(request["Origin"], up.origin)
        self.assertEqual(request["Accept-Encoding"], "identity")
        self.assertIn("Mozilla/5.0", request["User-Agent"])
        for name in (
            "Cookie",
            "X-Odd",
            "Authorization",
            "Via",
            "X-Forwarded-For",
            "Content-Length",
            "Transfer-Encoding",
        ):
            self.assertIsNone(request[name], name)

    def test_accept_and_accept_language_come_from_the_client(self):
        up = self.upstream(ok(b"x"))
        self.proxy().stream(up.url("/a"), {"Accept": "video/*", "Accept-Language": "de"})
        self.assertEqual(
            (up.requests[0]["Accept"], up.requests[0]["Accept-Language"]), ("video/*", "de")
        )

    def test_the_referer_parameter_sets_the_referer(self):
        up = self.upstream(ok(b"x"))
        self.proxy().stream(up.url("/a"), referer="http://site.example/page?x=1")
        self.assertEqual(up.requests[0]["Referer"], "http://site.example/page?x=1")

    def test_h_parameters_become_header_fields_and_win(self):
        up = self.upstream(ok(b"x"))
        self.proxy().stream(
            up.url("/a"),
            **{
                "h_User-Agent": "tv 1.0",
                "h_X-Token": "a b",
                "h_Cookie": "s=1",
                "h_Authorization": "Bearer t",
            },
        )
        request = up.requests[0]
        self.assertEqual(
            [request[n] for n in ("User-Agent", "X-Token", "Cookie", "Authorization")],
            ["tv 1.0", "a b", "s=1", "Bearer t"],
        )

    def test_h_names_that_would_break_the_request_are_refused(self):
        up = self.upstream(ok(b"x"))
        names = (
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "Connection",
            "TE",
            "Upgrade",
            "Keep-Alive",
            "Trailer",
            "Proxy-Connection",
            "Expect",
            "Range",
            "If-Range",
            "If-Match",
            "If-None-Match",
            "If-Modified-Since",
            "Accept-Encoding",
            "X%20Y",
            "X%0d%0aY",
            "",
        )
        for name in names:
            with self.subTest(name):
                self.assert_error(
                    self.proxy().ask(stream_path(up.url()) + f"&h_{name}=1"), 400, "bad_request"
                )
        for value in ("a%0d%0aX:1", "a%0ab", "a%00b"):
            self.assert_error(
                self.proxy().ask(stream_path(up.url()) + f"&h_X-A={value}"), 400, "bad_request"
            )
        self.assert_error(self.proxy().stream(up.url(), referer="javascript:x"), 400, "bad_request")
        self.assertEqual(up.connections, 0)

    def test_a_403_is_retried_once_without_referer_and_origin(self):
        up = self.upstream([status(403, {}, b"no"), ok(b"yes")])
        self.assertEqual(self.proxy().stream(up.url("/a")).body, b"yes")
        first, second = up.requests
        self.assertIsNotNone(first["Referer"])
        self.assertEqual((second["Referer"], second["Origin"]), (None, None))

    def test_a_second_403_is_relayed(self):
        up = self.upstream(status(403, {}, b"no"))
        response = self.proxy().stream(up.url("/a"))
        self.assertEqual((response.status, response.body, len(up.requests)), (403, b"no", 2))

    def test_user_agent_referer_and_origin_are_configurable(self):
        up = self.upstream(ok(b"x"))
        client = {
            "User-Agent": "player 2",
            "Referer": "http://page.example/p",
            "Origin": "http://page.example",
        }
        proxy = self.proxy(upstream={"user_agent": "client", "referer": "client", "origin": "none"})
        proxy.stream(up.url("/a"), client)
        request = up.requests[0]
        self.assertEqual(
            [request[n] for n in ("User-Agent", "Referer", "Origin")],
            ["player 2", "http://page.example/p", None],
        )


class RelayedFields(ProxyTest):
    def test_fields_for_players_are_relayed_and_others_dropped(self):
        kept = {
            "ETag": '"e"',
            "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT",
            "Accept-Ranges": "bytes",
            "Expires": "Mon, 01 Jan 2024 00:00:00 GMT",
            "Date": "Mon, 01 Jan 2024 00:00:00 GMT",
            "Content-Disposition": "inline",
            "Age": "3",
            "Content-Encoding": "br",
        }
        dropped = {
            "Set-Cookie": "a=b",
            "Keep-Alive": "timeout=5",
            "Proxy-Authenticate": "Basic",
            "Server": "odd/1.0",
            "Strict-Transport-Security": "max-age=1",
            "X-Hop": "1",
            "Connection": "keep-alive, X-Hop",
        }
        up = self.upstream(ok(b"x", {**kept, **dropped}))
        response = self.proxy().stream(up.url("/a.ts"))
        for name, value in kept.items():
            self.assertEqual(response[name], value, name)
        for name in ("Set-Cookie", "Proxy-Authenticate", "Strict-Transport-Security", "X-Hop"):
            self.assertIsNone(response[name], name)
        self.assertNotEqual(response["Server"], "odd/1.0")


if __name__ == "__main__":
    main()
