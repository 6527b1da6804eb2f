"""Links of the path form: /at/<carry>/<scheme>/<authority>/<path and query>."""

import base64
import re
from urllib.parse import parse_qs, quote, unquote, urljoin, urlsplit

from harness import ProxyTest, link_target, main
from tokens import b64, hs256, with_tokens
from upstream import ok, playlist, redirect, status

ROUTES = ("/at", "/api/proxy/at")


def at(url, carry="-", route="/at"):
    scheme, _, rest = url.partition("://")
    return f"{route}/{carry}/{scheme}/{rest}"


def carry_of(text):
    return b64(text.encode())


def decoded(carry):
    return base64.urlsafe_b64decode(carry + "=" * (-len(carry) % 4)).decode()


class Requests(ProxyTest):
    def test_path_and_query_reach_the_upstream_byte_for_byte(self):
        up = self.upstream(ok(b"x"))
        asked = [
            "/", "//a//b///", "/a%2Fb%2f/%zz", "/a;p=1/B.TS?x=%20",
            "/a?url=http://other/&sg_live=1", "/a?", "/a?b?c&&d",
            "/$Number%05d$.m4s", "/a:b/@c?_HLS_msn=7",
        ]
        for route in ROUTES:
            for path in asked:
                self.assertEqual(self.proxy().ask(at(up.url(path), route=route)).status, 200, path)
        self.assertEqual(up.targets(), asked * 2)

    def test_the_carry_sets_headers_and_referer(self):
        up = self.upstream(ok(b"x"))
        carry = carry_of("referer=https%3A%2F%2Fr.example%2Fp&h_User-Agent=Box%201")
        self.assertEqual(self.proxy().ask(at(up.url("/a"), carry)).status, 200)
        self.assertEqual(up.requests[0]["Referer"], "https://r.example/p")
        self.assertEqual(up.requests[0]["User-Agent"], "Box 1")

    def test_secrets_of_the_carry_go_to_the_origin_that_it_names(self):
        here, there = self.upstream(ok(b"x")), self.upstream(ok(b"x"))
        scope = here.url("/live/").replace(":", "%3A").replace("/", "%2F")
        carry = carry_of(f"sg_scope={scope}&h_Authorization=Basic%20eA%3D%3D&h_Cookie=k%3Dv&h_X=1")
        for up in (here, there):
            self.assertEqual(self.proxy().ask(at(up.url("/live/a"), carry)).status, 200)
            self.assertEqual(up.requests[0]["X"], "1")
        self.assertEqual(here.requests[0]["Authorization"], "Basic eA==")
        self.assertEqual(here.requests[0]["Cookie"], "k=v")
        self.assertIsNone(there.requests[0]["Authorization"])
        self.assertIsNone(there.requests[0]["Cookie"])

    def test_methods_ranges_and_cors_are_those_of_the_query_form(self):
        def script(request):
            if request["Range"]:
                return status(206, {"Content-Range": "bytes 2-3/10"}, b"cd")
            return ok(b"abcdefghij")

        up = self.upstream(script)
        proxy = self.proxy()
        part = proxy.ask(at(up.url("/a.bin")), {"Range": "bytes=2-3", "Origin": "https://page"})
        self.assertEqual((part.status, part.body), (206, b"cd"))
        self.assertEqual(part["Content-Range"], "bytes 2-3/10")
        self.assertEqual(part["Access-Control-Allow-Origin"], "*")
        self.assertIn("sandbox", part["Content-Security-Policy"])
        head = proxy.ask(at(up.url("/a.bin")), method="HEAD")
        self.assertEqual((head.status, head["Content-Length"]), (200, "10"))
        preflight = proxy.ask(at(up.url("/a.bin")), method="OPTIONS")
        self.assertEqual(preflight.status, 204)
        self.assertEqual(len(up.requests), 2)
        script = proxy.ask(at(up.url("/a.js")), {"Sec-Fetch-Dest": "script"})
        self.assertEqual((script.status, script["X-Streamgate-Error"]), (403, "script_forbidden"))

    def test_cmcd_names_the_next_object_as_the_upstream_knows_it(self):
        up = self.upstream(ok(b"x"))
        proxy = self.proxy()
        carry = carry_of("h_X-Secret=hidden")
        for query in (True, False):
            for following in ("../c/2.ts", f"../../../../{carry}/http/other.example/2.ts"):
                item = f'bl=1,nor="{quote(following, safe="")}"'
                path = "/a/b/1.ts" + (f"?CMCD={quote(item, safe='')}" if query else "")
                sent = proxy.ask(at(up.url(path), carry), {} if query else {"CMCD-Request": item})
                self.assertEqual(sent.status, 200)
        reports = [unquote(target.partition("CMCD=")[2]) for target in up.targets()[:2]]
        reports += [request["CMCD-Request"] for request in up.requests[2:]]
        self.assertEqual(reports, ['bl=1,nor="..%2Fc%2F2.ts"', "bl=1"] * 2)

    def test_the_guard_and_the_allow_list_hold(self):
        up = self.upstream(ok(b"x"))
        proxy = self.own_proxy({"security": {"allow_private": []}})
        refused = proxy.ask(at(up.url("/a")))
        self.assertEqual((refused.status, refused["X-Streamgate-Error"]), (403, "target_forbidden"))
        allowing = self.own_proxy(
            {"security": {"allow_private": ["127.0.0.0/8"], "allow": ["cdn.example"]}}
        )
        self.assertEqual(allowing.ask(at(up.url("/a"))).status, 403)
        self.assertEqual(up.connections, 0)

    def test_a_target_that_names_no_url_is_400(self):
        for target in ("/at/", "/at/-/ftp/h/a", "/at/-/http//h/a", "/at/!/http/h/a", "/at/-/h/a"):
            answer = self.proxy().ask(target)
            refusal = (answer.status, answer["X-Streamgate-Error"])
            self.assertEqual(refusal, (400, "bad_url"), target)
        self.assertEqual(self.proxy().ask("/at").status, 404)

    def test_the_access_log_has_the_route_and_no_secret(self):
        up = self.upstream(ok(b"x"))
        proxy = self.own_proxy()
        carry = carry_of("h_X-Secret=hidden")
        proxy.ask(at(up.url("/a?key=hidden"), carry))
        line = proxy.wait_for_access()
        self.assertEqual((line["route"], line["reason"]), ("/at", "ok"))
        self.assertNotIn(carry, proxy.log())
        self.assertNotIn("hidden", proxy.log())


MEDIA = (
    "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"i.mp4\"\n#EXTINF:4,\ns%2F1.m4s?x=1\n"
    "#EXTINF:4,\n../b//s2.m4s\n#EXTINF:4,\n./s 3.m4s\n#EXT-X-ENDLIST\n"
)


class Playlists(ProxyTest):
    settings = {"hls": {"child_urls": "path"}}

    def lines(self, answer):
        self.assertEqual(answer.status, 200, answer.text)
        return [line for line in answer.text.splitlines() if line and line[0] != "#"]

    def test_a_token_of_the_upstream_stays(self):
        entries = ["http://h.example/stream?url=x&sg_token=a", "s?sg_token=b", "/s?x&sg_token=c"]
        up = self.upstream(playlist("#EXTM3U\n" + "\n".join(entries)))
        listed = self.proxy().ask(at(up.url("/dir/list.m3u")))
        links = [parse_qs(urlsplit(line).query)["url"] for line in self.lines(listed)]
        upstreams = [entries[0], up.url("/dir/s?sg_token=b"), up.url("/s?x&sg_token=c")]
        self.assertEqual(links, [[url] for url in upstreams])

    def test_relative_lines_stay(self):
        up = self.upstream(playlist(MEDIA))
        for carry in ("-", carry_of("referer=https%3A%2F%2Fr.example%2F&h_X=1")):
            for route in ROUTES:
                answer = self.proxy().ask(at(up.url("/a/b/i.m3u8?t=1"), carry, route))
                self.assertEqual(answer.text, MEDIA)

    def test_a_long_playlist_leaves_as_large_as_it_came(self):
        lines = "".join(f"#EXTINF:6.006,\nvideo/segment-{i:05}.ts\n" for i in range(20000))
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:7\n{lines}#EXT-X-ENDLIST\n"
        up = self.upstream(playlist(text))
        self.assertEqual(self.proxy().ask(at(up.url("/a/i.m3u8"))).text, text)

    def test_the_options_of_the_carry_hold(self):
        variants = "".join(f"#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=9x{height}\n{height}.m3u8\n"
                           for height in (360, 1080))
        up = self.upstream({"/d/m.m3u8": playlist("#EXTM3U\n" + variants),
                            "/d/i.m3u8": playlist(MEDIA)})
        carry = carry_of("sg_segments=direct&sg_max_height=720")
        self.assertEqual(self.lines(self.proxy().ask(at(up.url("/d/m.m3u8"), carry))), ["360.m3u8"])
        direct = self.proxy().ask(at(up.url("/d/i.m3u8"), carry))
        for line in self.lines(direct):
            self.assertTrue(line.startswith(up.url("/")), line)

    def test_limits_hold_as_for_the_query_form(self):
        up = self.upstream(ok(b"x"))
        proxy = self.own_proxy({"limits": {"per_client": {"requests": 2}}})
        asked = [proxy.ask(at(up.url("/s"), route=route)).status for route in ROUTES * 4]
        self.assertEqual(asked[:2], [200, 200])
        self.assertIn(429, asked)

    def test_a_carry_in_another_spelling_is_normalised(self):
        up = self.upstream(playlist("#EXTM3U\ns.ts\n"))
        answer = self.proxy().ask(at(up.url("/a/i.m3u8"), carry_of("h_X=%31")))
        self.assertEqual(
            self.lines(answer), [self.proxy().origin + at(up.url("/a/s.ts"), carry_of("h_X=1"))]
        )

    def test_references_that_lead_elsewhere_become_links(self):
        up = self.upstream(
            playlist("#EXTM3U\n/s1.ts\n//other:81/s2.ts\nhttp://other/s3.ts?a#f\n../../s4.ts\n"
                     "..\\s5.ts\ns6.ts|Referer=http://r/\nhttp://u:p@other/s7.ts\n../s8.ts\n")
        )
        proxy = self.proxy()
        links = self.lines(proxy.ask(at(up.url("/a/i.m3u8"))))
        origin = proxy.origin
        self.assertEqual(links[0], origin + at(up.url("/s1.ts")))
        self.assertEqual(links[1], origin + "/at/-/http/other:81/s2.ts")
        self.assertEqual(links[2], origin + "/at/-/http/other/s3.ts?a#f")
        self.assertEqual(links[3], origin + at(up.url("/s4.ts")))
        self.assertEqual(links[4], origin + at(up.url("/s5.ts")))
        carry = carry_of("referer=http%3A%2F%2Fr%2F")
        self.assertEqual(links[5], origin + at(up.url("/a/s6.ts"), carry))
        secret = carry_of("sg_scope=http%3A%2F%2Fother%2F&h_Authorization=Basic%20dTpw")
        self.assertEqual(links[6], origin + f"/at/{secret}/http/other/s7.ts")
        self.assertEqual(links[7], "../s8.ts")

    def test_lines_become_links_after_a_redirect_or_for_the_query_form(self):
        up = self.upstream(
            {"/a/i.m3u8": playlist("#EXTM3U\ns.ts\n"), "/old/i.m3u8": redirect("/a/i.m3u8")}
        )
        link = self.proxy().origin + at(up.url("/a/s.ts"))
        self.assertEqual(self.lines(self.proxy().stream(up.url("/a/i.m3u8"))), [link])
        self.assertEqual(self.lines(self.proxy().ask(at(up.url("/old/i.m3u8")))), [link])

    def test_children_of_another_origin_do_not_get_secrets(self):
        up = self.upstream(playlist("#EXTM3U\ns.ts\nhttp://other/s.ts\n"))
        scope = up.url("/").replace(":", "%3A").replace("/", "%2F")
        carry = carry_of(f"sg_scope={scope}&h_Authorization=Basic%20eA%3D%3D&h_X=1")
        links = self.lines(self.proxy().ask(at(up.url("/i.m3u8"), carry)))
        other = f"{self.proxy().origin}/at/{carry_of('h_X=1')}/http/other/s.ts"
        self.assertEqual(links, ["s.ts", other])

    def test_links_to_the_proxy_stay(self):
        origin = self.proxy().origin
        text = f"#EXTM3U\n{origin}/at/-/http/h/a.ts\n{origin}/stream?url=http%3A%2F%2Fh%2Fa.ts\n"
        up = self.upstream(playlist(text))
        self.assertEqual(self.proxy().ask(at(up.url("/i.m3u8"))).text, text)
        self.assertEqual(self.proxy().stream(up.url("/i.m3u8")).text, text)

    def test_the_query_form_of_children_is_the_default(self):
        up = self.upstream(playlist("#EXTM3U\ns.ts\n"))
        proxy = self.own_proxy({"hls": {"child_urls": "query"}})
        for route, stream in zip(ROUTES, ("/stream", "/api/proxy/stream")):
            answer = proxy.ask(at(up.url("/a/i.m3u8"), route=route))
            self.assertTrue(self.lines(answer)[0].startswith(f"{proxy.origin}{stream}?url="))


VTT = b"WEBVTT\n\n00:00.000 --> 00:01.000\ntiles/1.jpg#xywh=0,0,1,1\n"
# Browsers leave out the tab.
TABBED_VTT = VTT.replace(b"tiles/", b"x/\t../tiles/")


class OtherDocuments(ProxyTest):
    def test_the_tiles_of_a_thumbnail_track_come_back_through_us(self):
        up = self.upstream({"/t/thumbs.vtt": ok(VTT, content_type="text/vtt"),
                            "/t/tiles/1.jpg": ok(b"J", content_type="image/jpeg")})
        asked = at(up.url("/t/thumbs.vtt"), carry_of("h_X=1"))
        self.assertEqual(self.proxy().ask(asked).body, VTT)
        tile = urljoin(asked, "tiles/1.jpg")
        self.assertEqual(self.proxy().ask(tile).body, b"J")
        self.assertEqual(up.requests[-1]["X"], "1")

    def test_a_tab_in_the_name_of_a_tile_stays(self):
        up = self.upstream({"/t/thumbs.vtt": ok(TABBED_VTT, content_type="text/vtt"),
                            "/t/tiles/1.jpg": ok(b"J", content_type="image/jpeg")})
        asked = at(up.url("/t/thumbs.vtt"))
        self.assertEqual(self.proxy().ask(asked).body, TABBED_VTT)
        self.assertEqual(self.proxy().ask(urljoin(asked, "x/../tiles/1.jpg")).body, b"J")

    def test_the_link_of_a_moved_document_keeps_a_token_of_the_upstream(self):
        up = self.upstream({"/old.vtt": redirect("/new/t.vtt?sg_token=up"),
                            "/new/t.vtt": ok(VTT, content_type="text/vtt")})
        moved = self.proxy().ask(at(up.url("/old.vtt")))
        link = moved["Location"].removeprefix(self.proxy().origin)
        self.assertEqual(self.proxy().ask(link).body, VTT)
        self.assertEqual(up.targets()[-1], "/new/t.vtt?sg_token=up")

    def test_an_asset_list_that_is_not_marked_leads_to_relative_assets_by_itself(self):
        body = b'{"ASSETS":[{"URI":"ads/1.m3u8","DURATION":1}]}'
        up = self.upstream({"/a/list.json": ok(body, content_type="application/json"),
                            "/a/ads/1.m3u8": playlist("#EXTM3U\n")})
        asked = at(up.url("/a/list.json"), carry_of("h_X=1"))
        self.assertEqual(self.proxy().ask(asked).body, body)
        self.assertEqual(self.proxy().ask(urljoin(asked, "ads/1.m3u8")).text, "#EXTM3U\n")
        self.assertEqual(up.requests[-1]["X"], "1")

    def test_a_document_from_another_directory_is_answered_with_its_own_link(self):
        other = self.upstream(ok(VTT, content_type="text/vtt"))
        here = self.upstream({
            "/moved.vtt": redirect("/t/deep/thumbs.vtt?x=1"),
            "/plain.vtt": redirect("/t/deep/untyped"),
            "/same.vtt": redirect("/thumbs.vtt"),
            "/video.ts": redirect("/t/video.ts"),
            "/away.vtt": redirect(other.url("/t/thumbs.vtt")),
            "/t/deep/thumbs.vtt": ok(VTT, content_type="text/vtt"),
            "/t/deep/untyped": ok(VTT),
            "/thumbs.vtt": ok(VTT, content_type="text/vtt"),
            "/t/video.ts": ok(b"G" * 189, content_type="video/mp2t"),
        })
        proxy = self.proxy()
        scope = here.url("/").replace(":", "%3A").replace("/", "%2F")
        carry = carry_of(f"sg_scope={scope}&h_Authorization=Basic%20eA%3D%3D&h_X=1")
        for asked, found, kept in (
            ("/moved.vtt", here.url("/t/deep/thumbs.vtt?x=1"), carry),
            ("/plain.vtt", here.url("/t/deep/untyped"), carry),
            ("/away.vtt", other.url("/t/thumbs.vtt"), carry_of("h_X=1")),
        ):
            answer = proxy.ask(at(here.url(asked), carry))
            self.assertEqual(answer.status, 302, asked)
            self.assertEqual(answer["Location"], proxy.origin + at(found, kept))
            again = proxy.ask(answer["Location"].removeprefix(proxy.origin))
            self.assertEqual((again.status, again.body), (200, VTT))
        for asked in ("/same.vtt", "/video.ts"):
            self.assertEqual(proxy.ask(at(here.url(asked), carry)).status, 200, asked)
        self.assertEqual(proxy.stream(here.url("/moved.vtt")).status, 200)


class Tokens(ProxyTest):
    settings = with_tokens()

    def link_for(self, up, path, route="/at", headers=(), **claims):
        """The target of the 302 that a request with a token gets."""
        separator = "&" if "?" in path else "?"
        target = at(up.url(path + f"{separator}sg_token={hs256(**claims)}"), route=route)
        answer = self.proxy().ask(target, headers)
        self.assertEqual(answer.status, 302, answer.text)
        self.assertEqual(answer["Cache-Control"], "no-store")
        self.assertEqual(answer["Access-Control-Allow-Origin"], "*")
        self.assertTrue(answer["Location"].startswith(self.proxy().origin + route), answer.text)
        return answer["Location"].removeprefix(self.proxy().origin)

    def assert_refused(self, target, reason, code=403):
        answer = self.proxy().ask(target)
        self.assertEqual((answer.status, answer["X-Streamgate-Error"]), (code, reason))

    def test_a_token_in_the_query_becomes_a_grant_in_the_carry(self):
        up = self.upstream(ok(b"x"))
        for route in ROUTES:
            link = self.link_for(up, "/live/a?k=%20", route)
            self.assertEqual(up.connections, 0)
            _, carry, _ = link.removeprefix(route).split("/", 2)
            self.assertEqual(link, at(up.url("/live/a?k=%20"), carry, route))
            self.assertEqual(parse_qs(decoded(carry))["sg_scope"], [up.url("/live/")])
            self.assertEqual(self.proxy().ask(link).status, 200)
            self.assertEqual(up.targets().pop(), "/live/a?k=%20")
            up.requests.clear()
            # What a client resolves below the directory has the same carry.
            self.assertEqual(self.proxy().ask(link.replace("/live/a", "/live/deep/b")).status, 200)
            up.requests.clear()
            up.connections = 0

    def test_a_grant_does_not_cover_what_lies_outside(self):
        up, other = self.upstream(ok(b"x")), self.upstream(ok(b"x"))
        link = self.link_for(up, "/live/a")
        self.assert_refused(link.replace("/live/a", "/other/a"), "token_scope")
        self.assert_refused(link.replace("/live/a", "/a"), "token_scope")
        self.assert_refused(link.replace("/live/a", "/live/%2e%2e/a"), "token_scope")
        self.assert_refused(link.replace(f":{up.port}/", f":{other.port}/"), "token_scope")
        self.assert_refused(at(up.url("/live/a")), "token_missing", 401)
        self.assertEqual(up.connections + other.connections, 0)

    def test_a_grant_for_one_url_covers_that_path_only(self):
        up = self.upstream(ok(b"x"))
        link = self.link_for(up, "/films/a.mp4", url=up.url("/films/a.mp4"))
        self.assertEqual(self.proxy().ask(link).status, 200)
        self.assert_refused(link.replace("a.mp4", "b.mp4"), "token_scope")
        self.assert_refused(link.replace("a.mp4", "a.mp4/b"), "token_scope")
        within = self.link_for(up, "/films/b/a.mp4", prefix=up.url("/films/b"))
        self.assertEqual(self.proxy().ask(within.replace("a.mp4", "c.mp4")).status, 200)

    def test_the_segments_of_a_manifest_with_a_token_for_its_url_are_allowed(self):
        mpd = b"<MPD><Period><SegmentTemplate media='/live/$Number$.m4s'/></Period></MPD>"
        up = self.upstream({"/live/m.mpd": ok(mpd), "/live/1.m4s": ok(b"M")})
        link = self.link_for(up, "/live/m.mpd", url=up.url("/live/m.mpd"))
        manifest = self.proxy().ask(link).text
        base, media = re.findall(rf"{self.proxy().origin}(/at/[^'<]*)", manifest)
        for segment in (base + "1.m4s", media.replace("$Number$", "1")):
            self.assertEqual(self.proxy().ask(segment).body, b"M", segment)

    def test_a_bad_token_is_refused_and_not_redirected(self):
        up = self.upstream(ok(b"x"))
        self.assert_refused(at(up.url("/a?sg_token=x")), "token_invalid")
        self.assert_refused(at(up.url(f"/a?sg_token={hs256(url=up.url('/b'))}")), "token_scope")
        head, carry, rest = self.link_for(up, "/live/a").split("/", 3)[1:]
        forged = carry_of(decoded(carry).replace("live%2F", ""))
        moved = f"/{head}/{forged}/{rest}".replace("/live/", "/other/")
        self.assert_refused(moved, "token_invalid")

    def test_a_bearer_needs_no_redirect(self):
        up = self.upstream(ok(b"x"))
        bearer = {"Authorization": f"Bearer {hs256()}"}
        self.assertEqual(self.proxy().ask(at(up.url("/a")), bearer).status, 200)
        self.assertIsNone(up.requests[0]["Authorization"])

    def test_a_playlist_requested_by_path_has_grants(self):
        up = self.upstream({"/live/i.m3u8": playlist("#EXTM3U\ns.ts\n"), "/live/s.ts": ok(b"G")})
        answer = self.proxy().ask(self.link_for(up, "/live/i.m3u8"))
        (line,) = [line for line in answer.text.splitlines() if line[0] != "#"]
        self.assertEqual(urlsplit(line).path, "/stream")
        self.assertEqual(self.proxy().ask(link_target(line)).body, b"G")

    def test_relative_lines_below_the_grant_stay(self):
        up = self.upstream(playlist("#EXTM3U\ns.ts\ndeep/s.ts\n../s.ts\n/live/s.ts\n"))
        proxy = self.own_proxy({"hls": {"child_urls": "path"}})
        target = at(up.url(f"/live/i.m3u8?sg_token={hs256()}"))
        link = proxy.ask(target)["Location"].removeprefix(proxy.origin)
        lines = [line for line in proxy.ask(link).text.splitlines() if line[0] != "#"]
        self.assertEqual(lines[:2], ["s.ts", "deep/s.ts"])
        carries = [line.removeprefix(proxy.origin).split("/")[2] for line in lines[2:]]
        self.assertEqual(parse_qs(decoded(carries[0]))["sg_scope"], [up.url("/")])
        self.assertEqual(carries[1], link.split("/")[2])
        for line in [urljoin(proxy.origin + link, line) for line in lines]:
            self.assertEqual(proxy.ask(line.removeprefix(proxy.origin)).status, 200, line)


class Open(ProxyTest):
    def test_without_tokens_sg_token_is_only_removed(self):
        up = self.upstream(ok(b"x"))
        self.assertEqual(self.proxy().ask(at(up.url("/a?x=1&sg_token=t"))).status, 200)
        self.assertEqual(up.targets(), ["/a?x=1"])


if __name__ == "__main__":
    main()
