"""Upstreams that a player plays and a browser does not: they require Digest credentials or a
player's User-Agent, or their documents have relative references."""

import base64
import hashlib
import itertools
import re
from urllib.parse import quote

from harness import ProxyTest, link_target, main, stream_path
from upstream import Answer, ok, playlist, redirect, status

USER, PASSWORD = "us er", 'p:"w'
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
USERINFO = "us%20er:p%3A%22w@"
PAGE = ok(b"<!DOCTYPE html>\n<html><head><title>Status</title></head></html>", content_type="text/html")


def parameters_of(authorization):
    """The parameters of a Digest, without quotes and escapes."""
    scheme, _, rest = (authorization or "").partition(" ")
    if scheme != "Digest":
        return {}
    found = re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^,\s]+))', rest)
    return {name: re.sub(r"\\(.)", r"\1", quoted) or plain for name, quoted, plain in found}


class DigestServer:
    """Checks credentials as RFC 7616 3.4 says. A nonce serves each nonce count once."""

    def __init__(self, answers, challenge='Digest realm="a \\"b\\"", qop="auth", nonce="{nonce}"',
                 algorithm="MD5", qop=True, uses=1000):
        self.answers = answers
        self.challenge = challenge
        self.hash = hashlib.sha256 if algorithm.startswith("SHA-256") else hashlib.md5
        self.is_session = algorithm.endswith("-sess")
        self.qop = qop
        self.uses = uses
        self.nonces = itertools.count()
        self.nonce, self.used = None, 0

    def h(self, *parts):
        return self.hash(":".join(parts).encode()).hexdigest()

    def refuse(self, stale=""):
        self.nonce, self.used = f"n{next(self.nonces)}", 0
        field = self.challenge.format(nonce=self.nonce) + stale
        return status(401, [("WWW-Authenticate", line) for line in field.split("\n")], b"who?")

    def is_right(self, request, sent):
        secret = self.h(USER, 'a "b"', PASSWORD)
        if self.is_session:
            secret = self.h(secret, sent["nonce"], sent["cnonce"])
        uri = self.h(request.method, request.target)
        parts = [sent["nc"], sent["cnonce"], sent["qop"]] if self.qop else []
        expected = self.h(secret, sent["nonce"], *parts, uri)
        return (sent["username"], sent["uri"], sent["response"]) == (USER, request.target, expected)

    def __call__(self, request):
        sent = parameters_of(request["Authorization"])
        if not sent or not self.is_right(request, sent):
            return self.refuse()
        if sent["nonce"] != self.nonce or self.used >= self.uses:
            return self.refuse(", stale=true")
        self.used += 1
        answer = self.answers(request) if callable(self.answers) else self.answers
        return answer


class Digest(ProxyTest):
    def ask(self, server, path="/a.ts?b=c", method="GET", **parameters):
        up = self.upstream(server)
        url = up.url(path).replace("://", "://" + USERINFO)
        return self.proxy().ask(stream_path(url, **parameters), method=method), up

    def test_the_credentials_of_a_url_answer_a_challenge(self):
        response, up = self.ask(DigestServer(ok(b"media")))
        self.assertEqual((response.status, response.body), (200, b"media"))
        self.assertEqual(len(up.requests), 2)
        self.assertEqual(up.requests[0]["Authorization"], BASIC)

    def test_every_usual_challenge_is_answered(self):
        begin = 'Digest realm="a \\"b\\"", nonce="{nonce}"'
        for challenge, options in (
            (begin, {"qop": False}),
            (begin + ', qop=""', {"qop": False}),
            (begin + ', qop="auth-int, auth", opaque="o p"', {}),
            (begin + ", qop=auth, algorithm=MD5", {}),
            (begin + ', qop="auth", algorithm=MD5-sess', {"algorithm": "MD5-sess"}),
            (begin + ', algorithm=SHA-256, qop="auth"', {"algorithm": "SHA-256"}),
            (begin + ", algorithm=SHA-256-sess, qop=auth", {"algorithm": "SHA-256-sess"}),
            ('DIGEST realm = "a \\"b\\"" ,qop="auth",nonce="{nonce}",', {}),
            ('Basic realm="x, y=z", ' + begin + ', qop="auth"', {}),
            ('Basic realm="x"\n' + begin + ', qop="auth"', {}),
            ("NTLM, Negotiate ab==, " + begin + ', qop="auth"', {}),
            (begin.replace('"{nonce}"', '"x", algorithm=SHA-512-256')
             + "\n" + begin + ', qop="auth"', {}),
        ):
            with self.subTest(challenge):
                response, up = self.ask(DigestServer(ok(b"media"), challenge, **options))
                self.assertEqual((response.status, response.body), (200, b"media"))
                sent = parameters_of(up.requests[-1]["Authorization"])
                self.assertEqual(sent.get("opaque"), "o p" if "opaque" in challenge else None)

    def test_other_challenges_and_wrong_credentials_are_relayed(self):
        for challenge in (
            'Basic realm="x"',
            'Digest realm="x"',
            'Digest realm="x", nonce="{nonce}", qop="auth-int"',
            'Digest realm="x", nonce="{nonce}", algorithm=SHA-512-256',
            "Digest nonce=\"" + "n" * 5000 + '"',
        ):
            response, up = self.ask(DigestServer(ok(b"media"), challenge))
            self.assertEqual((response.status, response.body), (401, b"who?"), challenge[:60])
            self.assertEqual(len(up.requests), 1)
        server = DigestServer(ok(b"media"), 'Digest realm="other", nonce="{nonce}", qop="auth"')
        response, up = self.ask(server)
        self.assertEqual((response.status, len(up.requests)), (401, 2))
        up = self.upstream(DigestServer(ok(b"media")))
        for parameters in ({}, {"h_Authorization": "Bearer x"}):
            self.assertEqual(self.proxy().stream(up.url(), **parameters).status, 401)
        self.assertEqual(len(up.requests), 2)

    def test_a_nonce_that_is_too_old_is_replaced(self):
        server = DigestServer(ok(b"media"))
        fresh = server.refuse

        def is_old(request):
            answer = server(request)
            if len(up.requests) == 2:
                server.uses = 1000
                return fresh(", stale=true")
            return answer

        up = self.upstream(None)
        up.script = is_old
        url = up.url("/a").replace("://", "://" + USERINFO)
        self.assertEqual(self.proxy().stream(url).body, b"media")
        self.assertEqual(len(up.requests), 3)

    def test_a_server_that_finds_every_nonce_too_old_gets_its_answer_relayed(self):
        server = DigestServer(ok(b"media"))
        response, up = self.ask(lambda _: server.refuse(", stale=true"))
        self.assertEqual((response.status, len(up.requests)), (401, 5))

    def test_a_head_and_a_range_are_answered(self):
        length = status(200, {"Content-Length": "5", "Content-Type": "video/mp4"}, length=False)
        response, up = self.ask(DigestServer(length), method="HEAD")
        self.assertEqual((response.status, response["Content-Length"]), (200, "5"))
        self.assertEqual([r.method for r in up.requests], ["HEAD", "HEAD"])
        part = status(206, {"Content-Range": "bytes 1-2/5"}, b"ed")
        up = self.upstream(DigestServer(part))
        url = up.url("/a.mp4").replace("://", "://" + USERINFO)
        response = self.proxy().stream(url, {"Range": "bytes=1-2"})
        self.assertEqual((response.status, response.body), (206, b"ed"))
        self.assertEqual([r["Range"] for r in up.requests], ["bytes=1-2"] * 2)

    def test_the_children_of_a_list_have_the_credentials(self):
        text = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n"
        answers = {"/l.m3u8": playlist(text), "/a.ts": ok(b"media")}
        response, up = self.ask(DigestServer(lambda r: answers[r.path]), "/l.m3u8")
        link = [line for line in response.text.splitlines() if not line.startswith("#")][0]
        self.assertEqual(self.proxy().ask(link_target(link)).body, b"media")
        self.assertEqual([r["Authorization"] for r in up.requests[::2]], [BASIC] * 2)

    def test_digests_stay_at_their_origin(self):
        other = self.upstream(ok(b"there"))
        response, up = self.ask(DigestServer(redirect(other.url("/b"))))
        self.assertEqual(response.body, b"there")
        self.assertEqual((len(up.requests), other.requests[0]["Authorization"]), (2, None))
        secured = self.upstream(DigestServer(ok(b"secured")))
        gate = self.upstream(redirect(secured.url("/x").replace("://", "://" + USERINFO)))
        self.assertEqual(self.proxy().stream(gate.url()).body, b"secured")
        self.assertIsNone(gate.requests[0]["Authorization"])
        self.assertEqual(secured.requests[0]["Authorization"], BASIC)

    def test_a_redirect_on_the_same_origin_keeps_the_digest(self):
        answers = {"/a": redirect("/b"), "/b": ok(b"there")}
        response, up = self.ask(DigestServer(lambda r: answers[r.path]), "/a")
        self.assertEqual((response.body, up.targets()), (b"there", ["/a", "/a", "/b"]))
        counts = [parameters_of(r["Authorization"])["nc"] for r in up.requests[1:]]
        self.assertEqual(counts, ["00000001", "00000002"])

    def test_no_password_is_in_a_log(self):
        proxy = self.proxy(log={"level": "debug"})
        up = self.upstream(DigestServer(ok(b"media")))
        self.assertEqual(proxy.stream(up.url().replace("://", "://" + USERINFO)).status, 200)
        proxy.wait_for_access()
        response = parameters_of(up.requests[1]["Authorization"])["response"]
        for secret in ("us%20er", "us er", 'p:"w', BASIC, response):
            self.assertNotIn(secret, proxy.log())


class PlayersOnly(ProxyTest):
    VLC = {"User-Agent": "VLC/3.0.20 LibVLC/3.0.20"}
    ICY = b"ICY 200 OK\r\nicy-name:Neutral FM\r\nContent-Type:audio/mpeg\r\n\r\nmp3"

    def refusing(self, refusal, answer=None):
        """Refuses the User-Agents of browsers."""
        answer = answer or Answer(self.ICY, "close")
        return lambda r: refusal if "Mozilla/" in (r["User-Agent"] or "") else answer

    def test_a_player_gets_the_stream_in_place_of_the_page_for_browsers(self):
        for refusal in (PAGE, status(403)):
            up = self.upstream(self.refusing(refusal))
            response = self.proxy().stream(up.url("/"), self.VLC)
            self.assertEqual((response.status, response.body), (200, b"mp3"))
            self.assertEqual(response["icy-name"], "Neutral FM")
            last = up.requests[-1]
            self.assertEqual(last["User-Agent"], self.VLC["User-Agent"])
            self.assertEqual((last["Referer"], last["Origin"]), (None, None))

    def test_the_page_is_for_browsers_and_for_clients_without_a_name(self):
        browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}
        for refusal, requests in ((PAGE, 1), (status(403, {}, b"no"), 2)):
            for fields in (browser, {}):
                up = self.upstream(self.refusing(refusal))
                response = self.proxy().stream(up.url("/"), fields)
                self.assertNotEqual(response.body, b"mp3")
                self.assertEqual(len(up.requests), requests)

    def test_an_answer_of_another_kind_is_not_requested_again(self):
        text = "#EXTM3U\n#EXTINF:4,\na.ts\n"
        for answer in (
            playlist(text, content_type="text/html"),
            playlist("<br />\n<b>Notice</b>: x<br />\n" + text, content_type="text/html"),
            ok(b"plain text", content_type="text/html"),
            ok(b"<?xml version='1.0'?><tv/>", content_type="text/xml"),
            status(404, {"Content-Type": "text/html"}, b"<html></html>"),
        ):
            up = self.upstream(answer)
            self.proxy().stream(up.url("/x"), self.VLC)
            self.assertEqual(len(up.requests), 1)

    def test_a_page_for_everyone_is_relayed_after_the_second_request(self):
        up = self.upstream(lambda _: PAGE)
        response = self.proxy().stream(up.url("/"), self.VLC)
        self.assertEqual((response.status, response["Content-Type"]), (200, "text/plain"))
        self.assertEqual(len(up.requests), 2)
        up = self.upstream(lambda _: status(403, {}, b"no"))
        self.assertEqual(self.proxy().stream(up.url("/"), self.VLC).status, 403)
        self.assertEqual(len(up.requests), 3)

    def test_a_redirect_for_browsers_is_left(self):
        site = self.upstream(PAGE)
        up = self.upstream(self.refusing(redirect(site.url("/player"))))
        response = self.proxy().stream(up.url("/live"), self.VLC)
        self.assertEqual((response.body, up.targets()), (b"mp3", ["/live", "/live"]))
        self.assertEqual(site.targets(), ["/player"])

    def test_the_referer_of_the_link_is_kept(self):
        up = self.upstream(self.refusing(PAGE))
        referer = {"referer": "http://site.example/a"}
        self.assertEqual(self.proxy().stream(up.url("/"), self.VLC, **referer).body, b"mp3")
        self.assertEqual(up.requests[-1]["Referer"], "http://site.example/a")

    def test_a_user_agent_of_the_link_or_the_configuration_is_final(self):
        agent = "Mozilla/5.0 Neutral"
        host = {"127.0.0.1": {"user_agent": agent}}
        header = {"127.0.0.1": {"headers": {"X-A": "b"}, "user_agent": "none"}}
        for settings, parameters in (
            ({}, {"h_User-Agent": agent}),
            ({"user_agent": agent}, {}),
            ({"hosts": host}, {}),
            ({"hosts": header}, {}),
        ):
            up = self.upstream(lambda _: PAGE)
            proxy = self.proxy(upstream=settings)
            self.assertEqual(proxy.stream(up.url("/"), self.VLC, **parameters).status, 200)
            self.assertEqual(len(up.requests), 1)

    def test_a_playlist_for_players_is_rewritten(self):
        text = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n"
        up = self.upstream(self.refusing(PAGE, playlist(text)))
        response = self.proxy().stream(up.url("/p/i.m3u8"), self.VLC)
        self.assertIn(quote(up.url("/p/a.ts"), safe=""), response.text)

    def test_with_a_cache_too(self):
        proxy = self.proxy(cache={"memory": "64MiB"})
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
        page = PAGE.data.partition(b"\r\n\r\n")[2]
        playlist_head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-mpegurl\r\n\r\n"
        for refusal in (
            PAGE,
            # Too long to be shared, which shows in the middle of it.
            Answer(playlist_head + page + b" " * 500_000, "close"),
            Answer(head + b"\r\n" + page, "close"),
            Answer(head + b"Cache-Control: no-store\r\nContent-Length: 99\r\n\r\n" + page, "stall"),
            status(403),
            status(403, {"Set-Cookie": "a=1"}, b"no" * 1000),
            Answer(status(403, {}, b"no" * 1000).data, pause=0.01, piece=400),
        ):
            with self.subTest(refusal.data[:60]):
                up = self.upstream(self.refusing(refusal))
                self.assertEqual(proxy.stream(up.url("/"), self.VLC).body, b"mp3")


class SmoothStreaming(ProxyTest):
    MANIFEST = '<?xml version="1.0" encoding="utf-16"?>\n<SmoothStreamingMedia MajorVersion="2"/>'

    def test_a_player_is_sent_to_the_link_against_which_fragments_resolve(self):
        fragment = "QualityLevels(1200000)/Fragments(video=0)"
        for path in ("/v/a.ism/Manifest", "/v/a.isml/manifest"):
            for route in ("/stream", "/api/proxy/stream"):
                manifest = ok(self.MANIFEST.encode("utf-16"), content_type="text/xml")
                directory = path.rpartition("/")[0]
                up = self.upstream({path: manifest, f"{directory}/{fragment}": ok(b"fragment")})
                proxy = self.proxy()
                target = stream_path(up.url(path) + "?t=1", route, **{"h_X-A": "b"})
                response = proxy.ask(target)
                self.assertEqual(response.status, 302)
                link = response["Location"]
                self.assertTrue(link.endswith(f"/http/127.0.0.1:{up.port}{path}?t=1"), link)
                there = proxy.ask(link_target(link))
                self.assertEqual(there.body, manifest.data.partition(b"\r\n\r\n")[2])
                child = link.partition("?")[0].rpartition("/")[0] + "/" + fragment
                self.assertEqual(proxy.ask(link_target(child)).body, b"fragment")
                self.assertEqual([r["X-A"] for r in up.requests], ["b"] * 3)

    def test_other_answers_at_that_path_are_relayed(self):
        text = "#EXTM3U\n#EXTINF:4,\na.ts\n"
        for answer, path in (
            (playlist(text), "/a.ism/Manifest"),
            (status(404), "/a.ism/Manifest"),
            (ok(b"<xml/>"), "/a.ism/Manifest.xml"),
            (ok(b"<xml/>"), "/a/Manifest"),
        ):
            response = self.proxy().stream(self.upstream(answer).url(path))
            self.assertNotEqual(response.status, 302)
        up = self.upstream(ok(self.MANIFEST.encode()))
        self.assertEqual(self.proxy().stream(up.url("/a.ism/Manifest"), method="HEAD").status, 200)


if __name__ == "__main__":
    main()
