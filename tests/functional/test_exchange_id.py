"""Each exchange has an id, in X-Streamgate-Id, in error bodies and in the access log. An error of
an upstream has its status in X-Streamgate-Upstream-Status."""

import json

from harness import ProxyTest, closed_port, main, stream_path
from upstream import ok, playlist, status

OURS = r"^[0-9a-z]{13}$"


class Ids(ProxyTest):
    def test_every_answer_has_an_id_and_the_access_log_has_the_same(self):
        up = self.upstream(
            {
                "/a.ts": ok(b"x"),
                "/a.m3u8": playlist("#EXTM3U\n#EXTINF:4,\na.ts\n"),
                "/404": status(404, {"X-Streamgate-Id": "forged"}, b"no"),
            }
        )
        proxy = self.proxy()
        dead = f"http://127.0.0.1:{closed_port()}/"
        ids = []
        for target, options in (
            (stream_path(up.url("/a.ts")), {}),
            (stream_path(up.url("/a.ts")), {"method": "HEAD"}),
            (stream_path(up.url("/a.m3u8")), {}),
            (stream_path(up.url("/404")), {}),
            (stream_path(dead), {}),
            ("/health", {}),
            ("/stream", {"method": "OPTIONS"}),
            ("/nothing", {"version": "1.0"}),
            ("/stream", {"method": "POST"}),
            ("/" + "x" * 20_000, {}),
        ):
            with self.subTest(target[:60], **options):
                response = proxy.ask(target, **options)
                self.assertRegex(response["X-Streamgate-Id"], OURS)
                ids.append(response["X-Streamgate-Id"])
                self.assertEqual(proxy.wait_for_access(len(ids))["id"], ids[-1])
        self.assertEqual(len(set(ids)), len(ids))

    def test_error_bodies_have_the_id(self):
        proxy = self.proxy()
        for target in ("/nothing", stream_path("http://10.0.0.1/")):
            response = proxy.ask(target)
            self.assertEqual(json.loads(response.body)["id"], response["X-Streamgate-Id"])
        with proxy.connect() as client:
            client.send(b"nonsense\r\n\r\n")
            response = client.read_response()
        self.assertEqual(json.loads(response.body)["id"], response["X-Streamgate-Id"])

    def test_pages_may_read_the_id(self):
        up = self.upstream(ok(b"x"))
        proxy = self.proxy()
        for target in (stream_path(up.url()), "/nothing"):
            exposed = proxy.ask(target)["Access-Control-Expose-Headers"].split(", ")
            self.assertIn("X-Streamgate-Id", exposed)
            self.assertIn("X-Streamgate-Upstream-Status", exposed)

    def test_requests_on_one_connection_have_different_ids(self):
        up = self.upstream(lambda request: ok(b"x"))
        proxy = self.proxy()
        with proxy.connect() as client:
            client.send(f"GET {stream_path(up.url())} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 3)
            ids = [client.read_response()["X-Streamgate-Id"] for _ in range(3)]
        self.assertEqual(len(set(ids)), 3)

    def test_workers_and_restarts_have_different_ids(self):
        ids = []
        for _ in range(2):
            proxy = self.own_proxy()
            ids += [proxy.ask("/health")["X-Streamgate-Id"] for _ in range(3)]
        self.assertEqual(len(set(ids)), 6)

    def test_the_id_is_not_sent_upstream(self):
        up = self.upstream(ok(b"x"))
        proxy = self.proxy(trusted_proxies=["127.0.0.1"])
        proxy.stream(up.url(), {"X-Streamgate-Id": "front-1"})
        self.assertNotIn(b"streamgate-id", up.requests[0].raw.lower())


class GivenIds(ProxyTest):
    def id_of(self, headers, **settings):
        response = self.proxy(**settings).ask("/nothing", headers)
        self.assertEqual(json.loads(response.body)["id"], response["X-Streamgate-Id"])
        return response["X-Streamgate-Id"]

    def test_a_trusted_proxy_gives_the_id(self):
        proxy = self.proxy(trusted_proxies=["127.0.0.1"])
        proxy.mark()
        given = "3F0c2f0e-9f0a-4c5e:8a3e_0c.1"
        response = proxy.ask("/nothing", {"x-streamgate-id": given})
        self.assertEqual(response["X-Streamgate-Id"], given)
        self.assertEqual(proxy.wait_for_access()["id"], given)

    def test_an_id_that_is_malformed_is_replaced(self):
        for value in ("", "x" * 65, "a b", 'a"b', "a=b", "a\x7fb", "a\x80b", "a\tb", "a,b", "<b>"):
            with self.subTest(value):
                headers = {"X-Streamgate-Id": value}
                with self.proxy(trusted_proxies=["127.0.0.1"]).connect() as client:
                    client.request("/nothing", headers.items())
                    response = client.read_response()
                self.assertRegex(response["X-Streamgate-Id"], OURS)

    def test_two_ids_are_replaced(self):
        headers = [("X-Streamgate-Id", "one"), ("X-Streamgate-Id", "two")]
        self.assertRegex(self.id_of(headers, trusted_proxies=["127.0.0.1"]), OURS)

    def test_an_untrusted_peer_gives_no_id(self):
        headers = {"X-Streamgate-Id": "mine"}
        self.assertRegex(self.id_of(headers, trusted_proxies=["192.0.2.0/24"]), OURS)

    def test_without_trusted_proxies_in_the_file_no_peer_gives_an_id(self):
        self.assertRegex(self.id_of({"X-Streamgate-Id": "mine"}), OURS)


class UpstreamStatus(ProxyTest):
    def test_only_an_error_of_the_upstream_has_its_status_in_a_header(self):
        up = self.upstream(
            {
                "/403": status(403, {"X-Streamgate-Error": "target_forbidden"}, b"no"),
                "/503": status(503, {"X-Streamgate-Upstream-Status": "200"}, b"no"),
                "/ok": ok(b"x"),
            }
        )
        proxy = self.proxy()
        for path in ("/403", "/503"):
            response = proxy.stream(up.url(path))
            self.assertEqual(response["X-Streamgate-Upstream-Status"], path[1:])
            self.assertIsNone(response["X-Streamgate-Error"])
        self.assertIsNone(proxy.stream(up.url("/ok"))["X-Streamgate-Upstream-Status"])
        ours = proxy.stream("http://10.0.0.1/")
        self.assertEqual((ours.status, ours["X-Streamgate-Error"]), (403, "target_forbidden"))
        self.assertIsNone(ours["X-Streamgate-Upstream-Status"])


if __name__ == "__main__":
    main()
