"""Shared answers under attack: what one client sends reaches no other and changes no answer."""

import threading

from harness import ProxyTest, link_target, main, stream_path, wait_until
from tokens import SECRET, hs256
from upstream import Answer, ok, playlist, status

LONG = {"Cache-Control": "max-age=600"}
BODY = b"G" * 1000
MARK = "s3cret"
# Of a client, of a player, and of a proxy in front.
FIELDS = (
    "Authorization: Bearer s3cret",
    "Proxy-Authorization: Basic s3cret",
    "Cookie: session=s3cret",
    "X-Forwarded-For: 192.0.2.1, s3cret",
    "X-Forwarded-Host: s3cret.example",
    "X-Forwarded-Proto: s3cret",
    "X-Forwarded-Prefix: /s3cret",
    "Forwarded: for=s3cret;host=s3cret.example",
    "X-Real-IP: s3cret",
    "X-Original-URL: /s3cret",
    "X-Rewrite-URL: /s3cret",
    "X-HTTP-Method-Override: s3cret",
    "Via: 1.1 s3cret",
    "User-Agent: s3cret/1.0",
    "Referer: http://s3cret.example/",
    "Origin: http://s3cret.example",
    "Accept: s3cret/type",
    "Accept-Language: s3cret",
    "Accept-Encoding: s3cret",
    "Accept-Charset: s3cret",
    "CMCD-Session: sid=\"s3cret\"",
    "CMCD-Request: nor=\"s3cret\"",
    "X-Playback-Session-Id: s3cret",
    "X-Streamgate-Id: s3cret",
    "CDN-Loop: s3cret",
    "Cache-Control: no-cache, s3cret",
    "Pragma: s3cret",
    "If-None-Match: \"s3cret\"",
    "If-Match: \"s3cret\"",
    "If-Unmodified-Since: s3cret",
    "Sec-Fetch-Site: s3cret",
    "DNT: s3cret",
    "TE: s3cret",
    "Upgrade: s3cret",
    "Max-Forwards: s3cret",
    "X-Api-Key: s3cret",
)


def split(field):
    return tuple(field.split(": ", 1))


class Echo(ProxyTest):
    settings = {"cache": {"memory": "64MiB"}}

    def echo(self, gate=None, as_playlist=False):
        """An upstream that answers with the head of the request."""

        def script(request):
            if gate is not None:
                gate.wait(10)
            if as_playlist:
                head = request.raw.decode("latin-1").split("\r\n")
                lines = "".join(f"#{line}\n" for line in head)
                return playlist(f"#EXTM3U\n{lines}#EXTINF:4,\ns.ts\n", LONG)
            return ok(b"G" + request.raw, LONG, content_type="video/mp2t")

        return self.upstream(script)

    def assert_clean(self, response):
        self.assertEqual(response.status, 200)
        self.assertNotIn(MARK, response.body.decode("latin-1"))
        self.assertNotIn(MARK, repr(response.fields))


class Secrets(Echo):
    def test_no_field_of_a_client_is_in_the_stored_answer_of_another(self):
        for as_playlist in (False, True):
            for field in FIELDS:
                with self.subTest(field=field, as_playlist=as_playlist):
                    up = self.echo(as_playlist=as_playlist)
                    proxy = self.proxy(trusted_proxies=["127.0.0.1"])
                    url = up.url("/i.m3u8" if as_playlist else "/a.ts")
                    self.assertEqual(proxy.stream(url, [split(field)]).status, 200)
                    self.assert_clean(proxy.stream(url))

    def test_nor_in_one_under_way(self):
        for field in FIELDS:
            with self.subTest(field=field):
                gate = threading.Event()
                up = self.echo(gate)
                proxy = self.proxy()
                target = stream_path(up.url("/a.ts"))
                clients = []
                for headers in ([split(field)], []):
                    client = proxy.connect()
                    self.addCleanup(client.close)
                    client.request(target, headers)
                    clients.append(client)
                    wait_until(lambda up=up: up.requests)
                gate.set()
                responses = [client.read_response() for client in clients]
                self.assert_clean(responses[1])

    def test_tokens_and_grants_do_not_reach_the_upstream(self):
        up = self.echo(as_playlist=True)
        key = {"id": "site", "algorithm": "HS256", "secret": SECRET}
        security = {"allow_private": ["127.0.0.0/8"], "auth": "token", "keys": [key]}
        proxy = self.proxy(security=security)
        token = hs256()
        for headers, parameters in (
            ((), {"sg_token": token}), ({"Authorization": f"Bearer {token}"}, {}),
        ):
            self.assertEqual(proxy.stream(up.url("/i.m3u8"), headers, **parameters).status, 200)
        for request in up.requests:
            self.assertNotIn(token.encode(), request.raw)
            self.assertNotIn(b"Authorization", request.raw)

    def test_cookies_of_two_links_are_two_requests(self):
        # The links of a playlist carry the cookies that it has set.
        def script(request):
            if request.path == "/s.ts":
                return ok(b"G" + (request["Cookie"] or "none").encode(), LONG,
                          content_type="video/mp2t")
            name = request.target.partition("=")[2]
            return playlist("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\ns.ts\n",
                            {**LONG, "Set-Cookie": f"session={name}"})

        up = self.upstream(script)
        proxy = self.proxy()
        links = [proxy.stream(up.url(f"/i.m3u8?u={name}")).text.splitlines()[2] for name in "ab"]
        bodies = [proxy.ask(link_target(link)).body for link in links * 2]
        self.assertEqual(bodies, [b"Gsession=a", b"Gsession=b"] * 2)
        self.assertEqual(proxy.stream(up.url("/s.ts")).body, b"Gnone")


class Conditions(Echo):
    def obedient(self):
        """An upstream that answers conditions and ranges."""

        def script(request):
            if request["If-None-Match"] or request["If-Modified-Since"]:
                return status(304, {"ETag": '"v1"'})
            if request["Range"]:
                fields = {**LONG, "Content-Range": f"bytes 0-0/{len(BODY)}", "ETag": '"v1"'}
                return status(206, fields, BODY[:1])
            return ok(BODY, {**LONG, "ETag": '"v1"'}, content_type="video/mp2t")

        return self.upstream(script)

    def test_what_one_client_already_has_or_wants_is_not_for_the_next(self):
        for headers, code in (
            ({"If-None-Match": '"v1"'}, 304),
            ({"If-None-Match": "*"}, 304),
            ({"If-Modified-Since": "Sun, 06 Nov 2044 08:49:37 GMT"}, 304),
            ({"Range": "bytes=0-0"}, 206),
            ({"Range": "bytes=0-0", "If-Range": '"v1"'}, 206),
            ({"Range": "bytes=0-"}, 206),
        ):
            with self.subTest(headers=headers):
                up = self.obedient()
                proxy = self.proxy()
                self.assertEqual(proxy.stream(up.url("/a.ts"), headers).status, code)
                for _ in range(2):
                    response = proxy.stream(up.url("/a.ts"))
                    self.assertEqual((response.status, response.body), (200, BODY))

    def test_a_client_that_leaves_in_the_middle_leaves_nothing(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nCache-Control: max-age=600\r\n\r\n"
        answers = [Answer(head + b"H" * 500, body=lambda: [b"H" * 500], wait=gate),
                   ok(BODY, LONG)]
        up = self.upstream(answers)
        proxy = self.proxy()
        client = proxy.connect()
        client.request(stream_path(up.url("/a.ts")))
        client.read_head()
        client.reset()
        wait_until(lambda: any(e["reason"] == "client_gone" for e in proxy.access_log()))
        self.assertEqual(proxy.stream(up.url("/a.ts")).body, BODY)
        self.assertEqual(proxy.stream(up.url("/a.ts")).body, BODY)

    def test_directives_on_several_lines_and_with_errors_count(self):
        for fields, outcome in (
            ([("Cache-Control", "max-age=600"), ("Cache-Control", "private")], "pass"),
            ([("Cache-Control", "max-age=600"), ("Vary", "Accept-Encoding"), ("Vary", "Cookie")],
             "pass"),
            ([("Cache-Control", "max-age=600;private")], "miss"),
            ([("Cache-Control", "max-age=600, max-age=0")], "miss"),
            ([("Cache-Control", "max-age=600"), ("Age", "600")], "miss"),
            ([("Cache-Control", "max-age=600"), ("Age", "99999999999999999999")], "miss"),
            ([("Expires", "0"), ("Cache-Control", "public")], "miss"),
        ):
            with self.subTest(fields=fields):
                up = self.upstream(lambda _, fields=fields: ok(BODY, fields))
                outcomes = [
                    self.proxy().stream(up.url("/a.ts"))["X-Streamgate-Cache"] for _ in range(2)
                ]
                self.assertEqual(outcomes, [outcome] * 2)


if __name__ == "__main__":
    main()
