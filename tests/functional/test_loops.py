"""Requests that lead back to the proxy end with 508 `loop`: CDN-Loop (RFC 8586) and public_url."""

import os
import signal
import socket
import tempfile
import threading

from harness import BINARY, ProxyTest, main, stream_path, wait_until
from programs import NEXT, put
from upstream import ok, redirect


class Forwarder:
    """Forwards TCP connections, as a NAT in front of the proxy does."""

    def __init__(self, target):
        self.target = target
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def stop(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client):
        with client, socket.create_connection(self.target) as server:
            back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
            back.start()
            self._copy(client, server)
            back.join()

    @staticmethod
    def _copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class LoopTest(ProxyTest):
    def forwarder_to(self, proxy):
        forwarder = Forwarder((proxy.host, proxy.port))
        self.addCleanup(forwarder.stop)
        return forwarder

    def sent_by(self, proxy, up, headers=(), **parameters):
        """The request that the upstream received for one of a client."""
        before = len(up.requests)
        response = proxy.stream(up.url("/a"), headers, **parameters)
        self.assertEqual(response.status, 200, response)
        self.assertEqual(len(up.requests), before + 1)
        return up.requests[-1]


class Loops(LoopTest):
    def test_a_redirect_to_our_front_makes_one_nested_request(self):
        proxy = self.own_proxy()
        front = self.forwarder_to(proxy)
        up = self.upstream(lambda _: redirect(front.url(stream_path(up.url("/again")))))
        response = proxy.stream(up.url("/a"))
        self.assertEqual(response.status, 508)
        self.assertIn(b'"error":"loop"', response.body)
        self.assertEqual((front.connections, up.targets()), (1, ["/a"]))
        wait_until(lambda: len(proxy.access_log()) >= 2, what="two access-log lines")
        reasons = [entry["reason"] for entry in proxy.access_log()]
        self.assertEqual(sorted(reasons), ["loop", "ok"])

    def test_a_url_of_our_front_makes_one_nested_request(self):
        proxy = self.own_proxy()
        front = self.forwarder_to(proxy)
        up = self.upstream(ok(b"x"))
        response = proxy.stream(front.url(stream_path(up.url())))
        self.assertEqual((response.status, up.requests), (508, []))
        self.assertEqual(front.connections, 1)

    def test_a_loop_through_another_streamgate_ends_at_the_first(self):
        first, second = self.own_proxy(), self.own_proxy()
        front = self.forwarder_to(first)
        back = self.upstream(lambda _: redirect(front.url(stream_path(up.url("/again")))))
        up = self.upstream(lambda _: redirect(second.origin + stream_path(back.url("/b"))))
        response = first.stream(up.url("/a"))
        self.assertEqual(response.status, 508)
        self.assertIn(b'"error":"loop"', response.body)
        self.assertEqual((up.targets(), back.targets(), front.connections), (["/a"], ["/b"], 1))

    def test_two_different_streamgates_in_a_row_are_fine(self):
        first = self.own_proxy({"loop_id": "first"})
        second = self.own_proxy({"loop_id": "second"})
        up = self.upstream(ok(b"body"))
        response = first.stream(second.origin + stream_path(up.url("/a")))
        self.assertEqual((response.status, response.body), (200, b"body"))
        self.assertEqual(
            up.requests[0]["CDN-Loop"], "first;by=streamgate, second;by=streamgate"
        )

    def test_two_streamgates_with_one_loop_id_are_a_loop(self):
        first = self.own_proxy({"loop_id": "cluster"})
        second = self.own_proxy({"loop_id": "cluster"})
        up = self.upstream(ok(b"body"))
        response = first.stream(second.origin + stream_path(up.url("/a")))
        self.assertEqual((response.status, up.requests), (508, []))


class Field(LoopTest):
    settings = {"loop_id": "me"}

    def test_our_id_is_refused_before_anything_is_fetched(self):
        up = self.upstream(ok(b"x"))
        for value in ("me;by=streamgate", "cdn, ME", 'a;b="c, me'):
            with self.subTest(value):
                # A name whose lookup fails.
                for url in (up.url(), "http://name.invalid/"):
                    response = self.proxy().stream(url, {"CDN-Loop": value})
                    self.assert_error(response, 508, "loop")
        self.assertEqual(up.connections, 0)

    def test_the_field_of_the_client_is_kept_and_ours_appended(self):
        up = self.upstream(ok(b"x"))
        for lines, sent in (
            ([], "me;by=streamgate"),
            (["cdn.example:80;v=1"], "cdn.example:80;v=1, me;by=streamgate"),
            (["a", 'b;c="d, e"'], 'a, b;c="d, e", me;by=streamgate'),
        ):
            with self.subTest(lines):
                request = self.sent_by(self.proxy(), up, [("CDN-Loop", line) for line in lines])
                self.assertEqual(request["CDN-Loop"], sent)

    def test_our_own_pages_do_not_ask_for_the_field(self):
        self.assertEqual(self.proxy().ask("/health", {"CDN-Loop": "me"}).status, 200)

    def test_more_than_four_marks_of_any_streamgate_are_a_loop(self):
        up = self.upstream(ok(b"x"))
        four = ", ".join(f"id{i};by=streamgate" for i in range(4))
        sent = self.sent_by(self.proxy(), up, {"CDN-Loop": four})["CDN-Loop"]
        self.assertEqual(sent, four + ", me;by=streamgate")
        for more in ("id4;by=streamgate", 'cdn, "; , id4; x=y; by=streamgate'):
            response = self.proxy().stream(
                up.url("/a"), [("CDN-Loop", four), ("CDN-Loop", more)]
            )
            self.assert_error(response, 508, "loop")
        self.assertEqual(len(up.requests), 1)

    def test_of_a_malformed_or_too_long_field_only_marks_go_on(self):
        up = self.upstream(ok(b"x"))
        for bad in ('"', "a b", "a;b", "@", "ü", "x" * 1025, "x," * 5000, "\tx\ty"):
            with self.subTest(bad[:20]):
                request = self.sent_by(self.proxy(), up, {"CDN-Loop": bad})
                self.assertEqual(request["CDN-Loop"], "me;by=streamgate")
                request = self.sent_by(self.proxy(), up, {"CDN-Loop": f"{bad}, one;by=streamgate"})
                self.assertEqual(request["CDN-Loop"], "one;by=streamgate, me;by=streamgate")
                response = self.proxy().stream(up.url(), {"CDN-Loop": f"{bad}, me;by=streamgate"})
                self.assert_error(response, 508, "loop")

    def test_links_cannot_set_the_fields_of_the_path(self):
        up = self.upstream(ok(b"x"))
        for name in (
            "CDN-Loop",
            "cdn-loop",
            "Via",
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "x-forwarded-other",
            "Proxy-Authorization",
        ):
            with self.subTest(name):
                response = self.proxy().stream(up.url(), **{f"h_{name}": "x"})
                self.assert_error(response, 400, "bad_request")
        self.assertEqual(up.requests, [])

    def test_via_is_sent_only_if_it_is_configured(self):
        up = self.upstream(ok(b"x"))
        self.assertIsNone(self.sent_by(self.proxy(), up)["Via"])
        proxy = self.proxy(upstream={"send_via": True})
        self.assertEqual(self.sent_by(proxy, up)["Via"], "1.1 streamgate")


class DerivedId(LoopTest):
    def ids(self, proxy, up, requests=40):
        return {self.sent_by(proxy, up)["CDN-Loop"] for _ in range(requests)}

    def test_it_is_the_same_in_all_workers_and_over_a_reload(self):
        up = self.upstream(ok(b"x"))
        proxy = self.own_proxy({"workers": 3})
        before = self.ids(proxy, up)
        self.assertEqual(len(before), 1)
        self.assertRegex(next(iter(before)), r"^[0-9a-f]{16};by=streamgate$")
        workers = set(proxy.workers())
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_for_event("reload.done")
        wait_until(lambda: not workers & set(proxy.workers()), what="the old workers to exit")
        self.assertEqual(self.ids(proxy, up), before)

    def test_it_is_the_same_after_an_upgrade(self):
        up = self.upstream(ok(b"x"))
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        program = os.path.join(folder.name, "streamgate")
        put(BINARY, program)
        proxy = self.own_proxy(binary=program)
        before, workers = self.ids(proxy, up, 1), set(proxy.workers())
        put(NEXT, program)
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_for_event("upgrade.done", 60)
        wait_until(lambda: not workers & set(proxy.workers()), what="the old workers to exit")
        self.assertEqual(self.ids(proxy, up, 1), before)

    def test_another_service_on_the_machine_has_another_one(self):
        up = self.upstream(ok(b"x"))
        self.assertNotEqual(
            self.ids(self.own_proxy(), up, 1), self.ids(self.own_proxy(), up, 1)
        )


class PublicUrl(LoopTest):
    """Names that cannot be resolved here: an answer other than `loop` would be `dns_failed`."""

    def test_a_target_or_redirect_with_its_host_and_port_is_a_loop(self):
        for public, targets, others in (
            (
                "https://tv.invalid/sub",
                ("https://tv.invalid/x", "https://TV.invalid.:443/", "http://tv.invalid:443/"),
                ("http://tv.invalid/", "https://a.tv.invalid/"),
            ),
            ("http://tv.invalid", ("http://tv.invalid:80/", "http://tv.invalid"), ()),
            ("http://tv.invalid:8080", ("http://tv.invalid:8080/",), ("http://tv.invalid/",)),
        ):
            proxy = self.proxy(public_url=public, upstream={"dns_timeout": "300ms"})
            for url in targets:
                with self.subTest(public=public, url=url):
                    self.assert_error(proxy.stream(url), 508, "loop")
                    up = self.upstream(redirect(url))
                    self.assert_error(proxy.stream(up.url()), 508, "loop")
            for url in others:
                with self.subTest(public=public, url=url):
                    self.assertIn(proxy.stream(url).status, (502, 504))


if __name__ == "__main__":
    main()
