"""POST /purge and `-s purge`: stored answers are dropped in all workers."""

import base64
import itertools
import json
import os
import signal
import threading
from urllib.parse import quote

from admin import ADMIN, admin_address, ask, metrics
from harness import (
    ProxyTest, closed_port, main, path_link, stream_path, streamgate
)
from upstream import Answer, ok, playlist, redirect, status

LONG = {"Cache-Control": "max-age=600"}
OUTCOME = "X-Streamgate-Cache"


class Purge(ProxyTest):
    settings = {"cache": {"memory": "64MiB"}, "workers": 2, "admin": ADMIN}

    def numbered(self):
        numbers = itertools.count(1)
        return self.upstream(
            lambda r: ok(b"\x47%d" % next(numbers), LONG, content_type="video/mp2t")
        )

    def order(self, proxy, **parameters):
        query = "&".join(f"{k}={quote(v, safe='')}" for k, v in parameters.items())
        return ask(admin_address(proxy), f"/purge?{query}", method="POST")

    def purge(self, proxy, **parameters):
        response = self.order(proxy, **parameters)
        self.assertEqual(response.status, 200, response)
        self.assertEqual(response["Content-Type"], "application/json")
        return json.loads(response.text)["purged"]

    def numbers(self, proxy, url, count=6):
        """What clients of any worker get."""
        return {proxy.stream(url).body[1:] for _ in range(count)}

    def test_a_url_is_dropped_in_all_workers(self):
        up = self.numbered()
        proxy = self.own_proxy()
        a, b = up.url("/d/a.ts"), up.url("/d/b.ts")
        self.assertEqual((self.numbers(proxy, a), self.numbers(proxy, b)), ({b"1"}, {b"2"}))
        for number in range(3, 9):
            self.assertEqual(self.purge(proxy, url=a), 1)
            self.assertEqual(self.numbers(proxy, a), {b"%d" % number})
        self.assertEqual(self.numbers(proxy, b), {b"2"})
        self.assertEqual(self.purge(proxy, url=up.url("/d/")), 0)
        self.assertEqual(metrics(admin_address(proxy))["streamgate_cache_purged_total"], 6)

    def test_a_url_is_dropped_for_all_headers_and_in_any_spelling(self):
        up = self.numbered()
        proxy = self.proxy()
        url = up.url("/d/a.ts?x=1")
        carry = base64.urlsafe_b64encode(b"referer=http://a.example/").decode().rstrip("=")
        links = [
            stream_path(url),
            stream_path(url, "/stream/a.ts", referer="http://a.example/"),
            stream_path(url, "/api/proxy/stream"),
            path_link(url),
            path_link(url, carry),
            path_link(url, route="/api/proxy/at"),
        ]
        spellings = [url, url.replace("http://", "HTTP:\\\\"), f" {url}#here", *links]
        spellings += [proxy.origin + link for link in links]
        for spelling in spellings:
            for headers in ((), {"Accept": "a/b"}):
                proxy.stream(url, headers)
            self.assertEqual(self.purge(proxy, url=spelling), 2, spelling)

    def test_a_link_behind_the_public_url_is_one_too(self):
        up = self.numbered()
        proxy = self.proxy(public_url="https://tv.example/x")
        url = up.url("/d/a.ts")
        for link in (stream_path(url), path_link(url)):
            proxy.stream(url)
            self.assertEqual(self.purge(proxy, url="https://tv.example/x" + link), 1, link)

    def test_a_link_behind_the_prefix_of_a_front_is_one_too(self):
        up = self.numbered()
        url = up.url("/d/a.ts")
        for link in (stream_path(url), path_link(url)):
            self.proxy().stream(url)
            purged = self.purge(self.proxy(), url="https://tv.example/x/y" + link)
            self.assertEqual(purged, 1, link)

    def test_the_path_of_an_upstream_may_look_like_that_of_a_link(self):
        up = self.numbered()
        for path in ("/at/", "/at/a.ts", "/at/-/a.ts", "/at/x/https-only/a.ts", "/stream/a.ts"):
            self.proxy().stream(up.url(path))
            self.assertEqual(self.purge(self.proxy(), url=up.url(path)), 1, path)

    def test_a_prefix_drops_all_urls_that_begin_with_it(self):
        up = self.numbered()
        proxy = self.proxy()
        paths = ("/live/a/1.ts", "/live/a/2.ts?t=1", "/live/ab/1.ts", "/vod/1.ts")
        for path in paths:
            self.assertEqual(len(self.numbers(proxy, up.url(path))), 1)
        self.assertEqual(self.purge(proxy, prefix=up.url("/live/a/")), 2)
        link = proxy.origin + path_link(up.url("/live"))
        self.assertEqual(self.purge(proxy, prefix=link), 1)
        self.assertEqual(self.purge(proxy, prefix=up.url("/live")), 0)
        # A host is not the beginning of another one.
        self.assertEqual(self.purge(proxy, prefix=up.url("")[:-1]), 0)
        self.assertEqual(self.purge(proxy, prefix=up.url("")), 1)

    def test_the_url_that_answered_counts_too(self):
        up = self.upstream(lambda r: redirect("/deep/b.ts") if r.path == "/a.ts" else
                           status(404) if r.path == "/c.ts" else ok(b"G", LONG))
        proxy = self.proxy()
        for path in ("/a.ts", "/deep/b.ts"):
            proxy.stream(up.url("/a.ts"))
            self.assertEqual(self.purge(proxy, url=up.url(path)), 1, path)
        for path in ("/c.ts", "/d.ts"):
            proxy.stream(up.url("/c.ts"), sg_alt=up.url("/d.ts"))
            self.assertEqual(self.purge(proxy, url=up.url(path)), 1, path)

    def test_an_answer_under_way_is_dropped_but_goes_on_for_its_readers(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nCache-Control: max-age=600\r\n\r\nold"
        answers = iter([Answer(head, body=lambda: [b"answer"], wait=gate)])
        up = self.upstream(lambda _: next(answers, ok(b"new", LONG)))
        proxy = self.own_proxy()
        url = up.url("/a.ts")
        clients = []
        for _ in range(8):
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(stream_path(url))
            clients.append((client, client.read_head()))
        self.assertEqual(self.purge(proxy, url=url), 1)
        bodies = [proxy.stream(url).body for _ in range(8)]
        self.assertEqual(bodies, [b"new"] * 8)
        gate.set()
        for client, response in clients:
            self.assertEqual(client.read_body(response).body, b"oldanswer")
        # The old answer does not come back when it is complete.
        self.assertEqual({proxy.stream(url).body for _ in range(8)}, {b"new"})
        self.assertEqual(len(up.requests), 2)

    def redirected(self, held):
        """/a.ts leads to /b.ts, whose answers are numbered. Requests for `held` wait until the second
        event is set; the first one says that such a request has come."""
        asked, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)
        numbers = itertools.count(1)

        def script(request):
            number = b"\x47%d" % next(numbers) if request.path == "/b.ts" else b""
            if request.path == held and not go_on.is_set():
                asked.set()
                go_on.wait(10)
            return ok(number, LONG, content_type="video/mp2t") if number else redirect("/b.ts")

        return self.upstream(script), asked, go_on

    def check_purge_under_way(self, held, purged):
        up, asked, go_on = self.redirected(held)
        proxy = self.own_proxy()
        found = []
        client = threading.Thread(
            target=lambda: found.append(proxy.stream(up.url("/a.ts")).body[1:]))
        client.start()
        self.assertTrue(asked.wait(10))
        dropped = self.purge(proxy, **purged(up))
        go_on.set()
        client.join()
        self.assertEqual(found, [b"1"])
        self.assertEqual(self.numbers(proxy, up.url("/a.ts")), {b"2"}, "the old answer is stored")
        self.assertEqual(metrics(admin_address(proxy))["streamgate_cache_purged_total"], 1)
        return dropped

    def test_an_answer_that_a_redirect_leads_to_is_dropped_before_its_head_has_come(self):
        for purged in (
            lambda up: {"url": up.url("/b.ts")}, lambda up: {"prefix": up.url("/b")}
        ):
            self.assertEqual(self.check_purge_under_way("/b.ts", purged), 1)

    def test_a_purge_reaches_a_request_whose_redirect_has_not_come(self):
        self.check_purge_under_way("/a.ts", lambda up: {"url": up.url("/b.ts")})
        self.check_purge_under_way("/a.ts", lambda up: {"prefix": up.url("/b")})

    def test_a_304_does_not_bring_back_what_was_purged(self):
        asked, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)
        numbers, visits = itertools.count(1), itertools.count(1)

        def script(request):
            if request.path == "/a.ts":
                if next(visits) > 1 and not go_on.is_set():
                    asked.set()
                    go_on.wait(10)
                return redirect("/b.ts")
            if request["If-None-Match"]:
                return status(304, {"ETag": '"v"', **LONG})
            return ok(b"\x47%d" % next(numbers),
                      {"ETag": '"v"', "Cache-Control": "max-age=1"}, content_type="video/mp2t")

        up = self.upstream(script)
        proxy = self.own_proxy({"workers": 1})
        url = up.url("/a.ts")
        self.assertEqual(proxy.stream(url).body[1:], b"1")
        found = []

        def ask_again():
            while not found:
                response = proxy.stream(url)
                if response[OUTCOME] == "miss":
                    found.append(response.body[1:])

        client = threading.Thread(target=ask_again)
        client.start()
        self.assertTrue(asked.wait(10))
        self.assertEqual(self.purge(proxy, url=up.url("/b.ts")), 1)
        go_on.set()
        client.join()
        # A reader that is there may get the old answer, a later one may not.
        self.assertEqual(found, [b"1"])
        self.assertEqual(proxy.stream(url).body[1:], b"2")

    def test_playlists_are_dropped_too(self):
        texts = iter("ab")
        up = self.upstream(
            lambda _: playlist(f"#EXTM3U\n#EXTINF:4,\n{next(texts)}.ts\n", LONG))
        proxy = self.proxy()
        for name in ("a.ts", "b.ts"):
            self.assertIn(name, proxy.stream(up.url("/i.m3u8")).text)
            self.assertIn(name, proxy.stream(up.url("/i.m3u8")).text)
            self.purge(proxy, url=up.url("/i.m3u8"))

    def test_workers_that_were_started_later_take_part(self):
        up = self.numbered()
        proxy = self.own_proxy()
        url = up.url("/a.ts")
        for _ in range(3):
            self.numbers(proxy, url, 1)
            self.assertEqual(self.purge(proxy, url=url), 1)
        os.kill(proxy.workers()[0], signal.SIGKILL)
        proxy.wait_for_event("worker.died")
        proxy.reload({})
        proxy.wait_for_event("reload.done")
        for _ in range(4):
            self.numbers(proxy, url)
            self.assertEqual(self.purge(proxy, url=url), 1)

    def test_orders_come_one_after_the_other(self):
        up = self.numbered()
        proxy = self.proxy()
        paths = [f"/{i}.ts" for i in range(12)]
        for path in paths:
            proxy.stream(up.url(path))
        found = []
        threads = [
            threading.Thread(target=lambda p=path: found.append(self.purge(proxy, url=up.url(p))))
            for path in paths
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, [1] * 12)

    def test_mistakes_are_refused(self):
        proxy = self.proxy()
        address = admin_address(proxy)
        for target in (
            "/purge", "/purge?url=", "/purge?url=ftp%3A%2F%2Fa%2F", "/purge?URL=http://a/",
            "/purge?url=http://a/&url=http://b/", "/purge?url=http://a/&prefix=http://a/",
            "/purge?prefix=%2F", f"/purge?url=http://a/{'x' * 7000}%00",
        ):
            response = ask(address, target, method="POST")
            self.assertEqual((response.status, response["X-Streamgate-Error"]),
                             (400, "bad_request"), target)
        response = ask(address, "/purge?url=http://a/")
        self.assertEqual((response.status, response["Allow"]), (405, "POST"))
        response = ask(address, "/purge?url=http://a/", {"Origin": "http://evil.example"}, "POST")
        self.assertEqual(response.status, 403)
        off = self.proxy(cache={"memory": "0B"})
        response = ask(admin_address(off), "/purge?url=http://a/", method="POST")
        self.assertEqual((response.status, response["X-Streamgate-Error"]), (409, "cache_off"))
        # The proxy's own listeners have no such page.
        self.assertEqual(proxy.ask("/purge?url=http://a/").status, 404)

    def test_the_token_is_required(self):
        proxy = self.proxy(admin={**ADMIN, "token": "t" * 32})
        response = ask(admin_address(proxy), "/purge?url=http://a/", method="POST")
        self.assertEqual(response.status, 401)


class Order(ProxyTest):
    settings = {"cache": {"memory": "64MiB"}, "workers": 2}

    def run_order(self, proxy, *arguments):
        return streamgate("-c", proxy.config_file, "-s", "purge", *arguments)

    def test_the_command_purges(self):
        listen = f"127.0.0.1:{closed_port()}"
        proxy = self.own_proxy({"admin": {"listen": listen, "token": "t" * 32}})
        up = self.upstream(lambda _: ok(b"G", LONG))
        for arguments, purged in (
            ((up.url("/d/a"),), 1),
            ((path_link(up.url("/d/a")),), 1),
            ((up.url("/d"), "--prefix"), 2),
            ((up.url("/d"),), 0),
        ):
            for path in ("/d/a", "/d/b"):
                proxy.stream(up.url(path))
            done = self.run_order(proxy, *arguments)
            self.assertEqual((done.returncode, done.stdout), (0, f"purged {purged}\n"), done.stderr)

    def test_it_says_why_it_fails(self):
        proxy = self.proxy()
        done = self.run_order(proxy, "http://a/")
        self.assertEqual(done.returncode, 1)
        self.assertIn("admin.listen", done.stderr)
        for arguments in ((), ("--prefix",)):
            self.assertEqual(self.run_order(proxy, *arguments).returncode, 2)
        self.assertEqual(streamgate("http://a/").returncode, 2)
        self.assertEqual(streamgate("-s", "status", "http://a/").returncode, 2)
        listen = f"127.0.0.1:{closed_port()}"
        proxy = self.own_proxy({"admin": {"listen": listen}, "pid_file": "/tmp/streamgate-no-such"})
        done = self.run_order(proxy, "ftp://a/")
        self.assertEqual(done.returncode, 1)
        self.assertIn("bad_request", done.stderr)
        done = self.run_order(proxy, "http://a/", "--pid-file", "/nonexistent")
        self.assertEqual(done.returncode, 3)


if __name__ == "__main__":
    main()
