"""Tokens and grants turned to other URLs, clients and keys, in every form of a link."""

import re
import threading
from urllib.parse import quote

from harness import link_target, main, path_link, stream_path
from token_test_case import TokenTest
from tokens import KEY, OTHER, b64, hs256, soon, with_tokens
from upstream import Answer, ok, playlist, redirect

REFUSALS = ("token_scope", "token_invalid", "bad_url", "port_forbidden", "token_missing")


def in_path(url, carry="-", route="/at"):
    """The path form, in which a client escapes these bytes."""
    return path_link(url.replace("\\", "%5C").replace("#", "%23"), carry, route)


def variants(up):
    """URLs that are not below /live/user/ at the upstream, but look or may be read as if."""
    inside = up.url("/live/user/a.ts")
    port = f":{up.port}"
    paths = (
        "/", "/live", "/live/", "/live/user", "/live/a.ts", "/live/user2/a.ts", "/live/use/a.ts",
        "/other/live/user/a.ts", "/Live/user/a.ts", "/live/USER/a.ts", "//live/user/a.ts",
        "/live//user/a.ts", "/%6cive/user/a.ts", "/live%2Fuser/a.ts", "/live%2fuser%2fa.ts",
        "/live/user%2Fa.ts", "/live/user;x/a.ts", "/;/live/user/a.ts", "/?/live/user/a.ts",
        "/#/live/user/a.ts", "/live/user/../a.ts", "/live/user/..", "/live/user/./../a.ts",
        "/live/user/%2e%2e/a.ts", "/live/user/.%2E/a.ts", "/live/user/..%2Fa.ts",
        "/live/user/..%5Ca.ts", "/live/user\\..\\a.ts", "/live/user/..;x=1/a.ts",
        "/live/user/%252e%252e/a.ts", "/live/user/..%252Fa.ts", "/live/user/x%2F..%2F..%2Fa.ts",
        "/live/user/..%3F/a.ts", "/live/user/..%23/a.ts", "/live/user/..%00/a.ts",
    )  # fmt: skip
    return [
        *(up.origin + path for path in paths),
        inside.replace("127.0.0.1", "127.0.0.2"),
        inside.replace(port, ":1"),
        inside.replace(port, ""),
        inside.replace("http:", "https:"),
        inside.replace("http://", f"http://127.0.0.1{port}@127.0.0.2:").replace(f"127.0.0.1{port}/", "9/"),
        inside.replace("127.0.0.1", "127.0.0.1.example"),
        inside.replace("127.0.0.1", "localhost"),
    ]


class Scopes(TokenTest):
    def forms_of(self, url, grant, scope):
        """The link to `url` with that grant, in every form."""
        carry = b64(f"sg_scope={quote(scope, safe='')}&sg_grant={grant}".encode())
        return {
            "query": stream_path(url, sg_grant=grant),
            "named": stream_path(url, route="/stream/a.ts", sg_grant=grant),
            "below /api/proxy": stream_path(url, route="/api/proxy/stream", sg_grant=grant),
            "grant first": f"/stream?sg_grant={grant}&url={quote(url, safe='')}",
            "path": in_path(url, carry),
            "path below /api/proxy": in_path(url, carry, "/api/proxy/at"),
            "path without scope": in_path(url, b64(f"sg_grant={grant}".encode())),
        }

    def assert_scope(self, answer, where):
        self.assertIn(answer.status, (400, 401, 403), where)
        self.assertIn(answer["X-Streamgate-Error"], REFUSALS, where)

    def test_a_grant_is_for_its_directory_in_every_form_and_method(self):
        up = self.upstream(playlist("#EXTM3U\na.ts\n"))
        proxy = self.proxy()
        (link,) = self.play(proxy, up, "/live/user/i.m3u8", sg_token=hs256())
        grant = re.search(r"sg_grant=([^&\s]+)", link)[1]
        scope = up.url("/live/user/")
        with proxy.connect() as client:
            for form, target in self.forms_of(up.url("/live/user/a.ts"), grant, scope).items():
                client.request(target)
                self.assertEqual(client.read_response().status, 200, form)
            up.requests.clear()
            for url in variants(up):
                for form, target in self.forms_of(url, grant, scope).items():
                    for method in ("GET", "HEAD"):
                        client.request(target, method=method)
                        answer = client.read_response(method)
                        self.assert_scope(answer, (method, form, url))
        for form, target in self.forms_of(up.url("/other/a.ts"), grant, scope).items():
            self.assertEqual(proxy.ask(target, method="OPTIONS").status, 204, form)
            self.assertEqual(proxy.ask(target, method="POST").status, 405, form)
        self.assertEqual(up.requests, [])

    def test_a_token_is_for_its_prefix_wherever_it_stands(self):
        up = self.upstream(ok(b"x"))
        proxy = self.proxy()
        token = hs256(prefix=up.url("/live/user/"))
        bearer = [("Authorization", f"Bearer {token}")]
        with proxy.connect() as client:
            for url in [up.url("/live/user/a.ts"), *variants(up)]:
                separator = "&" if "?" in url else "?"
                for target, fields in (
                    (stream_path(url, sg_token=token), ()),
                    (stream_path(url), bearer),
                    (in_path(url + f"{separator}sg_token={token}"), ()),
                    (in_path(url), bearer),
                ):
                    client.request(target, fields)
                    answer = client.read_response()
                    if url == up.url("/live/user/a.ts"):
                        self.assertIn(answer.status, (200, 302), target)
                        up.requests.clear()
                    else:
                        self.assert_scope(answer, (target, fields))
        self.assertEqual(up.requests, [])

    def test_a_token_for_one_url_is_for_its_query_in_the_path_form_too(self):
        up = self.upstream(ok(b"x"))
        proxy = self.proxy()
        for claims in ({"url": "/get?id=5"}, {"prefix": "/get?id=5"}):
            claims = {name: up.url(path) for name, path in claims.items()}
            answer = proxy.ask(path_link(up.url(f"/get?id=5&sg_token={hs256(**claims)}")))
            self.assertEqual(answer.status, 302)
            link = link_target(answer["Location"])
            self.assertEqual(proxy.ask(link).status, 200)
            # What players add by themselves.
            for added in ("&_HLS_msn=3", "&CMCD=bl%3D1"):
                self.assertEqual(proxy.ask(link + added).status, 200)
            up.requests.clear()
            for other in (
                link.replace("id=5", "id=6"),
                link.replace("?id=5", ""),
                link + "&id=6",
                link.replace("get?", "get/?"),
            ):
                self.assert_scope(proxy.ask(other), other)
            self.assertEqual(up.requests, [])

    def test_a_grant_wins_over_a_token_and_the_query_over_a_header(self):
        up = self.upstream(playlist("#EXTM3U\na.ts\n"))
        proxy = self.proxy()
        (link,) = self.play(proxy, up, "/live/i.m3u8", sg_token=hs256())
        bad, good = hs256(OTHER), hs256()
        self.assertEqual(self.ask_link(proxy, f"{link}&sg_token={bad}").status, 200)
        forged = link.replace("sg_grant=1", "sg_grant=2")
        self.assertEqual(self.ask_link(proxy, f"{forged}&sg_token={good}").status, 200)
        self.assert_refused(
            self.ask_link(proxy, f"{forged}&sg_token={bad}"), 403, "token_invalid"
        )
        both = stream_path(up.url("/live/a.ts"), sg_token=bad)
        refused = proxy.ask(both, [("Authorization", f"Bearer {good}")])
        self.assert_refused(refused, 403, "token_invalid")
        twice = self.ask_link(proxy, f"{link}&sg_grant=1")
        self.assertEqual(twice.status, 400)

    def test_no_form_of_a_proof_is_in_a_log_or_at_an_upstream(self):
        up = self.upstream(playlist("#EXTM3U\na.ts\n"))
        proxy = self.own_proxy(self.settings)
        token = hs256(jti="visible-id")
        (link,) = self.play(proxy, up, "/live/i.m3u8", sg_token=token)
        grant = re.search(r"sg_grant=([^&\s]+)", link)[1]
        url = up.url("/live/a.ts")
        targets = [*self.forms_of(url, grant, up.url("/live/")).values(),
                   path_link(url + f"?%73g_token={token}"), stream_path(url, sg_token=token)]
        # A front that does not remove its prefix.
        targets += [f"/tv{target}" for target in targets]
        next_object = quote(link_target(link), safe="")
        for target in targets:
            proxy.ask(target, [("CMCD-Request", f'nor="{next_object}"')])
            proxy.ask(target.replace("live", "other"))
            separator = "&" if "?" in target else "?"
            proxy.ask(f"{target}{separator}CMCD=nor%3D%22{quote(next_object, safe='')}%22")
        mac = grant.rpartition(".")[2]
        carries = re.findall(r"/at/([\w-]{9,})/", "\n".join(targets))
        secrets = [token.rpartition(".")[2], mac, *(carry[:40] for carry in carries)]
        seen = [proxy.log(), *(request.raw.decode() for request in up.requests)]
        for secret in secrets:
            for text in seen:
                self.assertNotIn(secret, text)

    def test_a_link_in_a_referer_is_not_sent_with_its_proof(self):
        up = self.upstream(playlist("#EXTM3U\na.ts\n"))
        proxy = self.own_proxy({**self.settings, "upstream": {"referer": "client"}})
        index = up.url("/live/i.m3u8")
        token = hs256()
        opened = stream_path(index, sg_token=token)
        link = link_target(proxy.ask(opened).text.splitlines()[-1])
        in_path = link_target(proxy.ask(path_link(index + f"?sg_token={token}"))["Location"])
        for page in (opened, in_path, "/tv" + opened):
            up.requests.clear()
            proxy.ask(link, [("Referer", f"http://127.0.0.1:{proxy.port}{page}")])
            (referer,) = [request["Referer"] for request in up.requests]
            self.assertEqual(referer, up.url("/"), page)


class Customers(TokenTest):
    """Two keys, each for upstreams of its own."""

    KEYS = [
        {**KEY, "allow": ["127.0.0.1"]},
        {"id": "other", "algorithm": "HS256", "secret": OTHER, "allow": ["127.0.0.2"]},
    ]
    settings = with_tokens(*KEYS)

    def upstreams(self):
        """The same files for both customers, on one port of two addresses."""
        one = self.upstream(None)
        elsewhere = one.origin.replace("127.0.0.1", "127.0.0.2")
        text = f"#EXTM3U\na.ts\n{elsewhere}/live/a.ts\n"
        one.script = lambda r: {
            "/live/index.m3u8": playlist(text),
            "/live/away": redirect(f"{elsewhere}/live/a.ts"),
        }.get(r.path, ok(b"A"))
        return one, elsewhere

    def test_the_hosts_of_a_key_hold_for_children_redirects_and_alternatives(self):
        up, elsewhere = self.upstreams()
        proxy = self.proxy()
        own, foreign = self.play(proxy, up, sg_token=hs256())
        self.assertEqual(self.ask_link(proxy, own).body, b"A")
        for target in (
            link_target(foreign),
            link_target(own.replace("a.ts", "away")),
            stream_path(up.url("/live/a.ts"), sg_token=hs256(), sg_alt=f"{elsewhere}/live/a.ts"),
            stream_path(f"{elsewhere}/live/a.ts", sg_token=hs256()),
        ):
            self.assert_refused(proxy.ask(target), 403, "token_scope")

    def test_the_links_of_two_customers_cannot_be_mixed(self):
        up, elsewhere = self.upstreams()
        proxy = self.proxy()
        mine, _ = self.play(proxy, up, sg_token=hs256())
        grant = re.search(r"sg_grant=([^&\s]+)", mine)[1]
        version, _, *rest = grant.split(".")
        as_other = ".".join([version, "other", *rest])
        their_url = quote(f"{elsewhere}/live/a.ts", safe="")
        for target in (
            mine.replace(grant, as_other),
            re.sub(r"url=[^&]+", f"url={their_url}", mine),
            re.sub(r"url=[^&]+", f"url={their_url}", mine).replace(grant, as_other),
        ):
            self.assert_refused(self.ask_link(proxy, target), 403, "token_invalid")
        # A token that names the other key, or is signed by it.
        payload = {"exp": soon()}
        text = f'{b64({"alg": "HS256", "kid": "other"})}.{b64(payload)}'
        mac = hs256(**payload).rpartition(".")[2]
        self.assert_refused(
            proxy.stream(up.url("/live/a.ts"), sg_token=f"{text}.{mac}"), 403, "token_invalid"
        )
        self.assert_refused(
            proxy.stream(up.url("/live/a.ts"), sg_token=hs256(OTHER)), 403, "token_scope"
        )

    def test_the_paths_of_a_key_hold_for_every_spelling_and_redirect(self):
        up, _ = self.upstreams()
        table = up.script
        up.script = lambda r: redirect("/other/a.ts") if r.path == "/live/user/r" else table(r)
        keys = [
            {**KEY, "allow": [f"127.0.0.1:{up.port}/live/user", "127.0.0.2/8x"]},
            {"id": "all", "algorithm": "HS256", "secret": OTHER, "allow": ["127.0.0.1"]},
        ]
        proxy = self.own_proxy(self.security(keys=keys))
        with proxy.connect() as client:
            for url in [up.url("/live/user/a.ts"), *variants(up)]:
                if url.startswith("https"):
                    continue  # a target has no scheme
                up.requests.clear()
                client.request(stream_path(url, sg_token=hs256()))
                answer = client.read_response()
                if url in (up.url("/live/user/a.ts"), up.url("/live/user")):
                    self.assertEqual(answer.status, 200, url)
                else:
                    self.assertIn(answer["X-Streamgate-Error"], REFUSALS, url)
                    self.assertEqual(up.requests, [], url)
        moved = up.url("/live/user/r")
        self.assert_refused(proxy.stream(moved, sg_token=hs256()), 403, "token_scope")
        self.assertEqual(proxy.stream(moved, sg_token=hs256(OTHER)).body, b"A")

    def test_the_list_of_allowed_targets_may_have_paths(self):
        up, _ = self.upstreams()
        table = up.script
        up.script = lambda r: redirect("/other/a.ts") if r.path == "/live/user/r" else table(r)
        proxy = self.own_proxy(
            {"security": {"allow_private": ["127.0.0.0/8"], "allow": ["127.0.0.0/8/live/user/"]}}
        )
        self.assertEqual(proxy.stream(up.url("/live/user/a.ts")).body, b"A")
        for path in ("/live/user", "/live/a.ts", "/live/user/../a.ts", "/live/user/..%2fa.ts",
                     "/live/user/r"):  # fmt: skip
            refused = proxy.stream(up.url(path))
            self.assertEqual((refused.status, refused["X-Streamgate-Error"]), (403, "target_forbidden"))

    def test_a_grant_ends_with_its_key(self):
        up, _ = self.upstreams()
        proxy = self.own_proxy(self.settings)
        link = self.play(proxy, up, sg_token=hs256())[0]
        self.assertEqual(self.ask_link(proxy, link).body, b"A")
        one, other = self.KEYS
        for number, keys in enumerate(
            (
                [other],
                [{**other, "id": one["id"], "allow": []}],  # the id, with another secret
                [one],
                [{**one, "allow": ["*.example"]}],
            )
        ):
            proxy.reload(with_tokens(*keys))
            proxy.wait_for_event("worker.left", generation=str(number + 1))
            answer = self.ask_link(proxy, link)
            expected = ("token_invalid", "token_invalid", None, "token_scope")[number]
            self.assertEqual(answer["X-Streamgate-Error"], expected, keys)

    def test_a_client_of_an_answer_in_flight_needs_a_proof_of_its_own(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 10\r\n"
            b"Cache-Control: max-age=60\r\n\r\nfirst"
        )
        up = self.upstream(Answer(head, body=lambda: [b"later"], wait=gate))
        proxy = self.own_proxy({**self.settings, "cache": {"memory": "64MiB"}})
        url = up.url("/live/a.ts")
        with proxy.connect() as first:
            first.request(stream_path(url, sg_token=hs256()))
            self.assertEqual(first.read_head().status, 200)
            self.assertEqual(proxy.stream(url).status, 401)
            self.assert_refused(proxy.stream(url, sg_token=hs256(OTHER)), 403, "token_scope")
            expired = hs256(exp=soon(-60))
            self.assert_refused(proxy.stream(url, sg_token=expired), 403, "token_expired")
            gate.set()
        self.assertEqual(len(up.requests), 1)

    def test_the_claim_ip_may_be_ipv6_and_never_matches_another_family(self):
        up, _ = self.upstreams()
        proxy = self.own_proxy(
            {**self.settings, "client_address": "x-forwarded-for", "trusted_proxies": ["127.0.0.1"]}
        )
        url = up.url("/live/a.ts")
        for block, inside, outside in (
            ("2001:db8::/32", ("2001:db8::1", "2001:DB8:0:0::ffff"), ("2001:db9::1", "192.0.2.1")),
            ("192.0.2.0/24", ("192.0.2.7", "::ffff:192.0.2.7"), ("192.0.3.7", "::192.0.2.7")),
            ("0.0.0.0/0", ("203.0.113.1",), ("2001:db8::1",)),
        ):
            token = hs256(ip=block)
            for address in inside:
                answer = proxy.stream(url, {"X-Forwarded-For": address}, sg_token=token)
                self.assertEqual(answer.status, 200, (block, address))
            for address in outside:
                answer = proxy.stream(url, {"X-Forwarded-For": address}, sg_token=token)
                self.assert_refused(answer, 403, "token_client")


if __name__ == "__main__":
    main()
