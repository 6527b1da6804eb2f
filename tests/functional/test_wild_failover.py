"""The alternatives of a link (sg_alt) are tried in order when its URL fails."""

import base64
from urllib.parse import quote

from harness import ProxyTest, closed_port, main, stream_path
from upstream import Answer, ok, playlist, redirect, status

BASIC = "Basic " + base64.b64encode(b"us@er:p:w").decode()


def link(*urls, **parameters):
    alternatives = "".join(f"&sg_alt={quote(url, safe='')}" for url in urls[1:])
    return stream_path(urls[0], **parameters) + alternatives


def dead():
    return f"http://127.0.0.1:{closed_port()}/a"


class Failover(ProxyTest):
    settings = {
        "upstream": {
            "first_byte_timeout": "300ms",
            "connect_timeout": "300ms",
            "dns_timeout": "200ms",
        }
    }

    def ask(self, *urls, proxy=None, **parameters):
        return (proxy or self.proxy()).ask(link(*urls, **parameters))

    def test_after_a_url_that_fails_or_does_not_answer_the_next_is_tried(self):
        plain = self.upstream(ok(b"no TLS"))
        for name, url in {
            "refused": dead(),
            "no name": "http://not-there.example/",
            "no TLS": plain.url("/a").replace("http", "https"),
            "silent": self.upstream(Answer(b"", "stall")).url("/a"),
            "closed": self.upstream(Answer(b"", "close")).url("/a"),
            "nonsense": self.upstream(b"nonsense\r\n\r\n").url("/a"),
            "redirect to nowhere": self.upstream(redirect(dead())).url("/a"),
            "redirect to another scheme": self.upstream(redirect("ftp://x/")).url("/a"),
            "endless redirects": self.upstream(redirect("/a")).url("/a"),
            "redirect to a private address": self.upstream(redirect("http://10.0.0.1/")).url("/a"),
        }.items():
            with self.subTest(name):
                response = self.ask(url, self.upstream(ok(b"second")).url("/b"))
                self.assertEqual((response.status, response.body), (200, b"second"))

    def test_a_failing_status_leads_to_the_next_url_and_others_do_not(self):
        for code in (403, 404, 410, 429, 500, 503, 599):
            up = self.upstream({"/a": status(code), "/b": ok(b"second")})
            self.assertEqual(self.ask(up.url("/a"), up.url("/b")).body, b"second", code)
        for code in (400, 401, 416, 451, 300):
            up = self.upstream({"/a": status(code), "/b": ok(b"second")})
            self.assertEqual(self.ask(up.url("/a"), up.url("/b")).status, code)
            self.assertEqual(up.targets(), ["/a"])

    def test_a_head_request_goes_to_the_next_url_after_its_get(self):
        up = self.upstream({"/a": status(403), "/b": ok(b"second")})
        response = self.proxy().ask(link(up.url("/a"), up.url("/b")), method="HEAD")
        self.assertEqual((response.status, response["Content-Length"]), (200, "6"))
        self.assertEqual(
            [f"{request.method} {request.path}" for request in up.requests],
            ["HEAD /a", "HEAD /a", "GET /a", "GET /a", "HEAD /b"],
        )

    def test_the_statuses_are_configured(self):
        proxy = self.proxy(upstream={"failover_statuses": [404, "450-460"]})
        for code, expected in ((404, 200), (455, 200), (503, 503), (461, 461)):
            up = self.upstream({"/a": status(code), "/b": ok(b"second")})
            self.assertEqual(self.ask(up.url("/a"), up.url("/b"), proxy=proxy).status, expected)

    def test_urls_are_tried_in_the_order_of_the_link_and_the_last_answer_counts(self):
        up = self.upstream(lambda request: status(404, {}, request.path.encode()))
        response = self.ask(*[up.url(path) for path in ("/a", "/b", "/c", "/d")])
        self.assertEqual((response.status, response.body), (404, b"/d"))
        self.assertEqual(up.targets(), ["/a", "/b", "/c", "/d"])
        self.assert_error(self.ask(dead(), dead()), 502, "connect_failed")

    def test_a_403_has_its_second_try_first(self):
        up = self.upstream(
            {"/a": [status(403), ok(b"first")], "/b": ok(b"second"), "/c": status(403)}
        )
        self.assertEqual(self.ask(up.url("/a"), up.url("/b")).body, b"first")
        self.assertEqual(self.ask(up.url("/c"), up.url("/b")).body, b"second")
        self.assertEqual(up.targets(), ["/a", "/a", "/c", "/c", "/b"])
        referers = [request["Referer"] is not None for request in up.requests]
        self.assertEqual(referers, [True, False, True, False, True])

    def test_every_url_is_checked_before_the_first_is_asked(self):
        up = self.upstream(ok(b"first"))
        proxy = self.proxy(security={"allow_private": [f"127.0.0.1:{up.port}"]})
        for url, code, reason in (
            ("http://10.0.0.1/", 403, "target_forbidden"),
            (f"http://127.0.0.1:{closed_port()}/", 403, "target_forbidden"),
            (f"http://127.0.0.1:{proxy.port}/health", 508, "loop"),
            ("http://a.example:25/", 403, "port_forbidden"),
            ("ftp://a.example/", 400, "bad_url"),
            ("", 400, "bad_url"),
        ):
            with self.subTest(url):
                self.assert_error(self.ask(up.url("/a"), url, proxy=proxy), code, reason)
        self.assert_error(self.ask(*[up.url("/a")] * 5, proxy=proxy), 400, "bad_url")
        self.assertEqual(up.requests, [])

    def test_the_playlist_of_the_url_that_answered_is_the_base(self):
        up = self.upstream(status(404))
        other = self.upstream(playlist("#EXTM3U\n#EXTINF:1,\ns.ts\n"))
        proxy = self.proxy()
        secrets = {"h_Authorization": "Bearer t", "h_X-Kept": "k"}
        text = self.ask(up.url("/l"), other.url("/x/l"), proxy=proxy, **secrets).text
        self.assertIn(quote(other.url("/x/s.ts"), safe=""), text)
        self.assertIn("h_X-Kept=k", text)
        for absent in ("sg_alt", "Authorization"):
            self.assertNotIn(absent, text)
        self.assertEqual(up.requests[0]["Authorization"], "Bearer t")
        self.assertIsNone(other.requests[0]["Authorization"])

    def test_the_userinfo_of_an_alternative_is_for_that_alternative_only(self):
        up = self.upstream(status(404))
        other = self.upstream({"/l": playlist("#EXTM3U\n#EXTINF:1,\ns.ts\n"), "/s.ts": ok(b"x")})
        third = self.upstream(ok(b"third"))
        proxy = self.proxy()
        proxy.mark()
        secret = other.url("/l").replace("://", "://us%40er:p:w@")
        mine = {"h_Authorization": "Bearer mine"}
        text = self.ask(up.url("/a"), secret, third.url("/"), proxy=proxy, **mine).text
        child = [line for line in text.splitlines() if line.startswith(proxy.origin)][0]
        self.assertEqual(proxy.ask(child[len(proxy.origin) :]).body, b"x")
        self.assertEqual(
            [r["Authorization"] for r in [*up.requests, *other.requests]],
            ["Bearer mine", BASIC, BASIC],
        )
        other.script = status(404)
        self.assertEqual(self.ask(up.url("/b"), secret, third.url("/"), proxy=proxy).body, b"third")
        self.assertIsNone(third.requests[0]["Authorization"])
        self.assertEqual(proxy.wait_for_access(3)["upstream"], third.url("/"))
        self.assertNotIn("us%40er", proxy.log())

    def test_the_userinfo_of_a_redirect_does_not_go_to_the_next_url(self):
        gone = self.upstream(status(404))
        up = self.upstream(redirect(gone.url("/x").replace("://", "://u:p@")))
        other = self.upstream({"/l": playlist("#EXTM3U\n#EXTINF:1,\ns.ts\n")})
        text = self.ask(up.url("/l"), other.url("/l")).text
        self.assertEqual(gone.requests[0]["Authorization"], "Basic dTpw")
        self.assertIsNone(other.requests[0]["Authorization"])
        self.assertNotIn("Authorization", text)

    def test_the_access_log_names_the_url_that_answered(self):
        up = self.upstream(status(404))
        other = self.upstream(ok(b"second"))
        proxy = self.proxy()
        proxy.mark()
        self.assertEqual(self.ask(up.url("/a"), other.url("/b"), proxy=proxy).status, 200)
        self.assertEqual(proxy.wait_for_access()["upstream"], other.url("/b"))

    def test_parameters_for_the_upstream_go_to_every_url(self):
        up = self.upstream({"/a": status(404), "/b": ok(b"second")})
        self.ask(up.url("/a?k=1"), up.url("/b"), _HLS_msn="7")
        self.assertEqual(up.targets(), ["/a?k=1&_HLS_msn=7", "/b?_HLS_msn=7"])

    def test_a_body_that_has_begun_is_not_replaced(self):
        cut = Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "close")
        up = self.upstream({"/a": cut, "/b": ok(b"second")})
        response = self.ask(up.url("/a"), up.url("/b"))
        self.assertFalse(response.complete)
        self.assertEqual(up.targets(), ["/a"])


class Marks(ProxyTest):
    def test_an_origin_that_cannot_be_reached_is_tried_last_by_other_links(self):
        proxy = self.proxy()
        up = self.upstream(None)
        second = self.upstream(ok(b"second"))
        up.stop_accepting()
        self.assertEqual(proxy.ask(link(up.url("/a"), second.url("/a"))).body, b"second")
        # It is tried all the same if nothing else answers.
        revived = self.upstream(ok(b"revived"), port=up.port)
        second.script = status(404)
        self.assertEqual(proxy.ask(link(revived.url("/c"), second.url("/c"))).body, b"revived")
        self.assertEqual(second.targets()[-1], "/c")
        # Its answer ends the mark.
        self.assertEqual(proxy.ask(link(revived.url("/d"), second.url("/d"))).body, b"revived")
        self.assertEqual(second.targets(), ["/a", "/c"])

    def test_all_workers_see_the_mark(self):
        proxy = self.own_proxy({"workers": 2, "upstream": {"connect_timeout": "300ms"}})
        plain, second = self.upstream(ok(b"no TLS")), self.upstream(ok(b"second"))
        dead_url = plain.url("/a").replace("http", "https")
        for number in range(20):  # some on each worker
            urls = [dead_url, second.url(f"/{number}")]
            self.assertEqual(proxy.ask(link(*urls)).body, b"second")
        self.assertEqual(plain.connections, 1)

    def test_an_origin_whose_name_has_no_address_is_tried_last(self):
        proxy = self.proxy(upstream={"dns_timeout": "200ms"})
        second = self.upstream([ok(b"second"), status(404)])
        dead = "http://not-there.example/"
        self.assertEqual(proxy.ask(link(dead + "a", second.url("/a"))).body, b"second")
        last = proxy.ask(link(dead + "b", second.url("/b")))
        self.assertIn(last["X-Streamgate-Error"], ("dns_failed", "dns_timeout"))

    def test_a_status_and_slowness_mark_no_origin(self):
        proxy = self.proxy(upstream={"first_byte_timeout": "300ms"})
        up = self.upstream(
            {"/404": status(404), "/slow": Answer(b"", "stall"), "/ok": ok(b"first")}
        )
        second = self.upstream(ok(b"second"))
        for path in ("/404", "/slow"):
            urls = [up.url(path), second.url(path)]
            self.assertEqual(proxy.ask(link(*urls)).body, b"second")
        urls = [up.url("/ok"), second.url("/ok")]
        self.assertEqual(proxy.ask(link(*urls)).body, b"first")

    def test_down_for_0_marks_nothing(self):
        proxy = self.proxy(upstream={"down_for": "0s"})
        up = self.upstream(None)
        second = self.upstream(ok(b"second"))
        up.stop_accepting()
        self.assertEqual(proxy.ask(link(up.url("/a"), second.url("/a"))).body, b"second")
        revived = self.upstream(ok(b"revived"), port=up.port)
        self.assertEqual(proxy.ask(link(revived.url("/b"), second.url("/b"))).body, b"revived")

    def test_a_link_stays_with_the_url_that_answered(self):
        for stick, expected in (("10m", ["/a", "/b", "/b"]), ("0s", ["/a", "/b", "/a", "/b"])):
            proxy = self.proxy(upstream={"failover_stick": stick})
            up = self.upstream({"/a": status(404), "/b": ok(b"second")})
            for token in ("1", "2"):  # the query does not count
                urls = [up.url(f"/a?t={token}"), up.url("/b")]
                self.assertEqual(proxy.ask(link(*urls)).body, b"second")
            self.assertEqual([target.partition("?")[0] for target in up.targets()], expected)

    def test_a_link_leaves_its_url_when_that_fails(self):
        proxy = self.proxy()
        up = self.upstream({"/a": [status(404), ok(b"first")], "/b": [ok(b"second"), status(404)]})
        urls = [up.url("/a"), up.url("/b")]
        self.assertEqual([proxy.ask(link(*urls)).body for _ in range(3)][1:], [b"first"] * 2)
        self.assertEqual(up.targets(), ["/a", "/b", "/b", "/a", "/a"])

    def test_a_live_stream_continues_with_the_url_that_answers(self):
        packets = (b"\x47\x40\x00\x10" + b"\xff" * 184) * 4
        head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"
        up = self.upstream(
            {
                "/a": [Answer(head + packets, "close"), status(404)],
                "/b": Answer(head + packets, "stall"),
            }
        )
        proxy = self.proxy()
        with proxy.connect() as client:
            client.request(link(up.url("/a"), up.url("/b"), sg_live="1"), version="1.0")
            client.read_head()
            while len(client.pending) < 2 * len(packets) and client.receive_more():
                pass
            self.assertEqual(client.pending, packets * 2)
        self.assertEqual(up.targets(), ["/a", "/a", "/b"])


if __name__ == "__main__":
    main()
