"""Upstreams that refuse the User-Agents of browsers: the players share their answers."""

import threading

from harness import ProxyTest, main, wait_until
from upstream import Answer, ok, status

LONG = {"Cache-Control": "max-age=600"}
OUTCOME = "X-Streamgate-Cache"
VLC = {"User-Agent": "VLC/3.0.20 LibVLC/3.0.20"}
KODI = {"User-Agent": "Kodi/21.0"}
PAGE = b"<!DOCTYPE html><html><body>For players only.</body></html>"
REFUSALS = (
    status(403, {}, b"no"),
    status(403, {"Set-Cookie": "a=1"}, b"no"),
    ok(PAGE, content_type="text/html"),
    Answer(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE, "close"),
)


def is_browser(request):
    return "Mozilla/" in (request["User-Agent"] or "")


class Players(ProxyTest):
    settings = {"cache": {"memory": "64MiB"}, "workers": 2}

    def naming(self, refusal, refuses=is_browser):
        """Refuses some, and answers the others with their path and their User-Agent."""
        def script(request):
            if refuses(request):
                return refusal
            body = f"G{request.path} {request['User-Agent']}".encode()
            return ok(body, LONG, content_type="video/mp2t")

        return self.upstream(script)

    def agents(self, up):
        return ["browser" if is_browser(r) else r["User-Agent"] for r in up.requests]

    def test_they_share_and_the_refusal_is_asked_for_once(self):
        for refusal in REFUSALS:
            with self.subTest(refusal.data[:60]):
                up = self.naming(refusal)
                proxy = self.proxy()
                for path in ("/a.ts", "/b.ts", "/c.ts"):
                    for _ in range(4):
                        response = proxy.stream(up.url(path), VLC)
                        self.assertEqual(response.text, f"G{path} {VLC['User-Agent']}")
                    self.assertEqual(response[OUTCOME], "hit")
                agents = self.agents(up)
                self.assertEqual(agents.count(VLC["User-Agent"]), 3, agents)
                self.assertLessEqual(agents.count("browser"), 2, agents)

    def test_many_at_once_are_one_request(self):
        for refusal in REFUSALS[::2]:
            with self.subTest(refusal.data[:60]):
                self.check_many_at_once(refusal)

    def check_many_at_once(self, refusal):
        gate = threading.Event()
        self.addCleanup(gate.set)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nContent-Length: 9\r\n\r\nGbeg"
        growing = Answer(head, body=lambda: [b"inend"], wait=gate)
        up = self.upstream(lambda r: refusal if is_browser(r) else growing)
        proxy = self.proxy()
        clients = []
        for _ in range(5):
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(f"/stream?url={up.url('/live')}", VLC)
            clients.append(client)
        heads = [client.read_head() for client in clients]
        gate.set()
        for client, head in zip(clients, heads):
            self.assertEqual(client.read_body(head).body, b"Gbeginend")
        self.assertEqual(self.agents(up).count(VLC["User-Agent"]), 1)

    def test_players_with_another_name_and_browsers_have_answers_of_their_own(self):
        up = self.naming(status(403, {}, b"no"))
        proxy = self.proxy()
        for _ in range(3):
            for player in (VLC, KODI):
                self.assertIn(player["User-Agent"], proxy.stream(up.url("/a"), player).text)
            for browser in ({"User-Agent": "Mozilla/5.0 (X11)"}, {}):
                self.assertEqual(proxy.stream(up.url("/a"), browser).status, 403)
        self.assertEqual(self.agents(up).count(VLC["User-Agent"]), 1)

    def test_an_origin_that_changes_its_mind_is_asked_as_a_browser_again(self):
        refused = ["browser"]
        up = self.naming(status(403, {}, b"no"), lambda r: is_browser(r) == ("browser" in refused))
        proxy = self.proxy()
        self.assertIn("VLC", proxy.stream(up.url("/a"), VLC).text)
        refused.clear()
        self.assertIn("Mozilla", proxy.stream(up.url("/b"), VLC).text)

        def is_asked_at_once():
            before = len(up.requests)
            self.assertIn("Mozilla", proxy.stream(up.url(f"/{before}"), VLC).text)
            return self.agents(up)[before:] == ["browser"]

        # Marks of two workers are compared by their age to 100 ms.
        wait_until(is_asked_at_once, what="the mark is the browser's")

    def test_what_is_refused_to_everyone_changes_nothing(self):
        up = self.naming(status(403, {}, b"no"),
                         lambda r: is_browser(r) or r.path.startswith("/secret"))
        proxy = self.proxy()
        self.assertIn("VLC", proxy.stream(up.url("/a"), VLC).text)
        for player in (VLC, KODI):
            self.assertEqual(proxy.stream(up.url("/secret"), player).status, 403)
        before = len(up.requests)
        self.assertIn("VLC", proxy.stream(up.url("/b"), VLC).text)
        self.assertEqual(self.agents(up)[before:], [VLC["User-Agent"]])

    def test_a_mark_does_not_replace_the_user_agent_of_a_link(self):
        up = self.naming(status(403, {}, b"no"))
        proxy = self.proxy()
        self.assertIn("VLC", proxy.stream(up.url("/a"), VLC).text)
        self.assertIn("Own", proxy.stream(up.url("/a"), VLC, **{"h_User-Agent": "Own"}).text)


if __name__ == "__main__":
    main()
