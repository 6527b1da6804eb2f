"""Channel lists in their dialects: headers in URLs and tags, labels, userinfo, and attributes."""

import base64
import time
from urllib.parse import quote, unquote

from harness import ProxyTest, main
from upstream import Answer, ok, playlist, redirect, status

AGENT = "Neutral/1.0"
MEDIA = "#EXTM3U\n#EXT-X-TARGETDURATION:4\na.ts\n"
BASIC = "Basic " + base64.b64encode(b"us er:p:w@d").decode()
USERINFO = "us%20er:p%3Aw@d@"


def links_of(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def parameters_of(link):
    """The decoded parameters of a link of ours, in order."""
    query = link.partition("?")[2]
    return [(n, unquote(v)) for n, _, v in (part.partition("=") for part in query.split("&"))]


class Dialects(ProxyTest):
    def follow(self, proxy, link):
        self.assertTrue(link.startswith(proxy.origin), link)
        return proxy.ask(link[len(proxy.origin) :])

    def play_list(self, lines, **parameters):
        """Requests a list of `lines`, in which UP is the upstream, and then each of its links.
        Returns the list as sent and as received, its links, and the requests for them."""
        up = self.upstream(lambda _: ok(b"media"))
        text = "\n".join(["#EXTM3U", *lines, ""]).replace("UP", up.origin)
        up.script = lambda request: playlist(text) if request.path == "/list" else ok(b"media")
        proxy = self.proxy()
        response = proxy.stream(up.url("/list"), **parameters)
        self.assertEqual(response.status, 200, response)
        links = links_of(response.text)
        for link in links:
            self.assertEqual(self.follow(proxy, link).status, 200, link)
        return text, response.text, links, up.requests[1:]

    def assert_tags_unchanged(self, before, after):
        tags = [line for line in before.splitlines() if line.startswith("#")]
        self.assertEqual([line for line in after.splitlines() if line.startswith("#")], tags)

    def test_headers_behind_a_bar_are_sent_for_that_channel_only(self):
        _, _, links, requests = self.play_list(
            [
                '#EXTINF:-1 tvg-id="a",One',
                "UP/1.ts|User-Agent=Neutral%2F1.0&Referer=http://site.example/",
                "#EXTINF:-1,Two",
                'UP/2.m3u8?a=b|user-agent="Neutral/1.0"&X-Token=a%26b',
                "#EXTINF:-1,Three",
                "UP/3.ts",
                "#EXTINF:-1,Four",
                "UP/4.ts|verifypeer=false&!Cookie=c&seekable=0&Range=bytes=1-&Bad Name=x",
                "#EXTINF:-1,Five",
                "UP/5.ts|",
            ]
        )
        targets = ["/1.ts", "/2.m3u8?a=b", "/3.ts", "/4.ts", "/5.ts"]
        self.assertEqual([r.target for r in requests], targets)
        with_agent = [r.target for r in requests if r["User-Agent"] == AGENT]
        self.assertEqual(with_agent, targets[:2])
        self.assertEqual(requests[0]["Referer"], "http://site.example/")
        self.assertEqual(requests[0]["Origin"], "http://site.example")
        self.assertEqual(requests[1]["X-Token"], "a&b")
        self.assertEqual(requests[3]["Cookie"], "c")
        self.assertIsNone(requests[3]["Range"])
        self.assertEqual(
            [name for name, _ in parameters_of(links[0])],
            ["url", "referer", "h_User-Agent", "sg_ext"],
        )

    def test_a_bar_that_begins_no_headers_stays_in_the_url(self):
        _, _, _, requests = self.play_list(["UP/a|b.ts?ids=1|2|3"])
        self.assertEqual(requests[0].target, "/a%7Cb.ts?ids=1%7C2%7C3")

    def test_a_bar_that_the_upstream_does_not_know_ends_the_url(self):
        up = self.upstream(None)
        up.script = {
            "/list": playlist(f"#EXTM3U\n#EXTINF:-1,A\n{up.url('/a.ts|VLC')}\nb%7Cc.ts|\n"),
            "/a.ts": ok(b"media"),
        }
        proxy = self.proxy()
        first, second = links_of(proxy.stream(up.url("/list")).text)
        self.assertEqual(self.follow(proxy, first).body, b"media")
        self.assertEqual(self.follow(proxy, second).status, 404)
        self.assertEqual(up.targets()[1:], ["/a.ts%7CVLC", "/a.ts", "/b%7Cc.ts"])

    def test_an_encoded_bar_beside_a_raw_one_begins_no_headers(self):
        _, _, _, requests = self.play_list(["UP/a%7CA=1.ts|b"])
        self.assertEqual(requests[0].target, "/a%7CA=1.ts%7Cb")
        up = self.upstream({"/d%7CA=1/list": playlist("#EXTM3U\n#EXTINF:-1,A\na|b.ts\n")})
        proxy = self.proxy()
        (link,) = links_of(proxy.stream(up.url("/d%7CA=1/list")).text)
        self.follow(proxy, link)
        self.assertEqual(up.targets()[1:], ["/d%7CA=1/a%7Cb.ts"])

    def test_vlc_options_become_headers_of_the_next_channel(self):
        before, after, _, requests = self.play_list(
            [
                "#EXTVLCOPT:http-user-agent=Neutral/1.0",
                "#EXTINF:-1,One",
                "#EXTVLCOPT:http-referrer=http://site.example/a?b",
                "#EXTVLCOPT:http-origin=http://other.example",
                "#extvlcopt:HTTP-COOKIE=a=1; b=2",
                "#EXTVLCOPT:network-caching=1000",
                "UP/1.ts",
                "#EXTINF:-1,Two",
                "UP/2.ts",
                "#EXTVLCOPT--http-user-agent=Neutral/1.0",
                "#EXTVLCOPT--http-referrer=http://site.example/a",
                "#EXTVLCOPT--http-reconnect=true",
                "UP/3.ts",
            ]
        )
        self.assert_tags_unchanged(before, after)
        one, two, three = requests
        self.assertEqual(three["User-Agent"], AGENT)
        self.assertEqual(three["Referer"], "http://site.example/a")
        self.assertEqual(one["User-Agent"], AGENT)
        self.assertEqual(one["Referer"], "http://site.example/a?b")
        self.assertEqual(one["Origin"], "http://other.example")
        self.assertEqual(one["Cookie"], "a=1; b=2")
        self.assertNotEqual(two["User-Agent"], AGENT)
        self.assertIsNone(two["Cookie"])

    def test_kodi_properties_become_headers_of_the_next_channel(self):
        names = (
            "inputstream.adaptive.stream_headers",
            "inputstream.adaptive.manifest_headers",
            "inputstream.adaptive.common_headers",
            "stream_headers",
        )
        lines = []
        for name in names:
            lines += [
                "#KODIPROP:inputstream=inputstream.adaptive",
                f"#KODIPROP:{name}=User-Agent=Neutral%2F1.0&Referer=http%3A%2F%2Fsite.example%2F",
                "#EXTINF:-1,A",
                "UP/a.mpd",
            ]
        before, after, _, requests = self.play_list([*lines, "UP/b.mpd"])
        self.assert_tags_unchanged(before, after)
        self.assertEqual([r["User-Agent"] for r in requests[:4]], [AGENT] * 4)
        self.assertEqual([r["Referer"] for r in requests[:4]], ["http://site.example/"] * 4)
        self.assertNotEqual(requests[4]["User-Agent"], AGENT)

    def test_a_json_object_becomes_headers_of_the_next_channel(self):
        before, after, _, requests = self.play_list(
            [
                '#EXTHTTP:{"User-Agent":"Neutral\\/1.0","cookie":"a=\\u0062",'
                '"n":1,"deep":{"X-A":"1"}}',
                "UP/1.ts",
                '#EXTHTTP:{"User-Agent":"Neutral/1.0"',
                "UP/2.ts",
                '#EXTHTTP:{"X-Line":"a\\r\\nX-Injected: 1","Host":"evil","X-B":"2"}',
                "UP/3.ts",
                '#EXTHTTP:{"a":' + "[" * 100 + "]" * 100 + ',"X-C":"3"}',
                "UP/4.ts",
            ]
        )
        self.assert_tags_unchanged(before, after)
        self.assertEqual((requests[0]["User-Agent"], requests[0]["Cookie"]), (AGENT, "a=b"))
        self.assertIsNone(requests[0]["X-A"])
        self.assertNotEqual(requests[1]["User-Agent"], AGENT)
        self.assertEqual((requests[2]["X-B"], requests[2]["X-Line"]), ("2", None))
        self.assertNotIn(b"Injected", requests[2].raw)
        self.assertNotEqual(requests[2]["Host"], "evil")
        self.assertIsNone(requests[3]["X-C"])

    def test_the_headers_of_a_channel_replace_those_of_the_link(self):
        _, _, links, requests = self.play_list(
            ["UP/1.ts|User-Agent=Neutral/1.0&Referer=http://two.example/", "UP/2.ts"],
            referer="http://one.example/",
            **{"h_user-agent": "Asked/2", "h_X-Kept": "yes"},
        )
        self.assertEqual(requests[0]["User-Agent"], AGENT)
        self.assertEqual(requests[0]["Referer"], "http://two.example/")
        self.assertEqual(requests[1]["User-Agent"], "Asked/2")
        self.assertEqual(requests[1]["Referer"], "http://one.example/")
        self.assertEqual([r["X-Kept"] for r in requests], ["yes", "yes"])
        self.assertEqual(len(parameters_of(links[0])), 5, links[0])

    def test_a_list_cannot_change_framing_or_loop_marks(self):
        _, _, links, requests = self.play_list(
            ["UP/1.ts|Host=evil&CDN-Loop=x&Transfer-Encoding=chunked&Connection=close&Proxy-X=1"]
        )
        self.assertEqual([name for name, _ in parameters_of(links[0])], ["url"])
        self.assertIsNone(requests[0]["Transfer-Encoding"])

    def test_the_label_of_a_channel_is_dropped(self):
        _, after, links, requests = self.play_list(
            [
                "#EXTINF:-1,A",
                "UP/1.ts $LR 1080p • 线路1",
                "UP/2.ts?cost=$5&a=b",
                "UP/3.ts$label|User-Agent=Neutral/1.0",
                "UP/4$/a.ts",
                "UP/a.ts$b?c",
                "#EXT-X-INDEPENDENT-SEGMENTS",
                "UP/5.ts$label",
            ]
        )
        self.assertEqual(
            [r.target for r in requests],
            ["/1.ts", "/2.ts?cost=$5&a=b", "/3.ts", "/4$/a.ts", "/a.ts$b?c", "/5.ts$label"],
        )
        self.assertEqual(requests[2]["User-Agent"], AGENT)

    def test_userinfo_of_a_channel_becomes_authorization(self):
        up = self.upstream(None)
        url = up.url("/1.m3u8").replace("://", "://" + USERINFO)
        other = self.upstream(lambda _: ok(b"media"))
        up.script = {
            "/list": playlist(f"#EXTM3U\n{url}\n"),
            "/1.m3u8": playlist(f"{MEDIA}{other.url('/b.ts')}\n"),
            "/a.ts": ok(b"media"),
        }
        proxy = self.proxy()
        link = links_of(proxy.stream(up.url("/list")).text)[0]
        self.assertEqual(parameters_of(link)[0], ("url", up.url("/1.m3u8")))
        for child in links_of(self.follow(proxy, link).text):
            self.assertEqual(self.follow(proxy, child).status, 200)
        self.assertEqual([r["Authorization"] for r in up.requests], [None, BASIC, BASIC])
        self.assertIsNone(other.requests[0]["Authorization"])
        self.assertNotIn("us%20er", proxy.log())
        for request in up.requests:
            self.assertNotIn(b"us%20er", request.raw)

    def test_userinfo_of_the_url_becomes_authorization(self):
        up = self.upstream(lambda _: ok(b"media"))
        proxy = self.proxy()
        url = up.url("/a.ts").replace("://", "://" + USERINFO)
        self.assertEqual(proxy.stream(url).status, 200)
        self.assertEqual(proxy.stream(url, h_Authorization="Bearer x").status, 200)
        self.assertEqual([r["Authorization"] for r in up.requests], [BASIC, "Bearer x"])
        self.assertEqual([r["Host"] for r in up.requests], [f"127.0.0.1:{up.port}"] * 2)
        self.assertEqual(up.requests[0]["Referer"], up.origin + "/")
        proxy.wait_for_access(2)
        self.assertNotIn("us%20er", proxy.log())

    def test_userinfo_of_a_redirect_is_for_its_origin_only(self):
        other = self.upstream(
            {
                "/list": playlist(MEDIA + "http://third.example/b.ts\n"),
                "/a.ts": ok(b"media"),
                "/back": redirect("/list"),
            }
        )
        up = self.upstream({"/start": redirect(other.url("/back").replace("://", "://u:p@"))})
        third = self.upstream({"/start": redirect(other.url("/away").replace("://", "://u:p@"))})
        other.script["/away"] = redirect(third.url("/end"))
        third.script["/end"] = ok(b"media")
        proxy = self.proxy()
        children = links_of(proxy.stream(up.url("/start"), h_Authorization="Mine").text)
        self.assertEqual(self.follow(proxy, children[0]).status, 200)
        self.assertEqual([r["Authorization"] for r in up.requests], ["Mine"])
        self.assertEqual([r["Authorization"] for r in other.requests], ["Basic dTpw"] * 3)
        self.assertNotIn("Authorization", children[1])
        self.assertEqual(proxy.stream(third.url("/start")).status, 200)
        self.assertEqual(third.requests[-1]["Authorization"], None)

    def test_the_url_parameter_may_have_headers_behind_a_bar(self):
        up = self.upstream(lambda _: ok(b"media"))
        proxy = self.proxy()
        suffix = "|User-Agent=Neutral%2F1.0&Referer=http://site.example/"
        self.assertEqual(proxy.stream(up.url("/a.ts") + suffix).status, 200)
        self.assertEqual(proxy.ask("/stream?url=" + up.url("/b.ts") + suffix).status, 200)
        asked = {"h_User-Agent": "Asked/2"}
        self.assertEqual(proxy.stream(up.url("/c.ts") + suffix, **asked).status, 200)
        self.assertEqual(up.targets(), ["/a.ts", "/b.ts", "/c.ts"])
        self.assertEqual([r["User-Agent"] for r in up.requests], [AGENT, AGENT, "Asked/2"])
        self.assertEqual([r["Referer"] for r in up.requests], ["http://site.example/"] * 3)


class ListAttributes(ProxyTest):
    LIST = (
        '#EXTM3U url-tvg="UP/a.xml,UP/b.xml.gz" x-tvg-url=UP/c.xml\n'
        "#EXTINF:-1 tvg-id=\"1\" tvg-logo='UP/l.png' group-title=\"a,b\" "
        'catchup="default" catchup-source="UP/c?utc={utc}&end=${end}&d={utc:Y-m-d H}",'
        'tvg-logo="UP/t"\n'
        "UP/1.ts\n"
        '#EXTINF:-1 catchup="append" catchup-source="?utc={utc}&lutc={lutc}",B\n'
        "UP/2.ts?a=b\n"
    )

    def ask_for_list(self, **hls):
        up = self.upstream(lambda _: ok(b"media"))
        text = self.LIST.replace("UP", up.origin)
        up.script = lambda request: playlist(text) if request.path == "/list" else ok(b"media")
        proxy = self.proxy(**({"hls": hls} if hls else {}))
        return up, proxy, text, proxy.stream(up.url("/list")).text

    def test_attributes_stay_by_default(self):
        _, _, text, rewritten = self.ask_for_list()
        tags = [line for line in text.splitlines() if line.startswith("#")]
        self.assertEqual([line for line in rewritten.splitlines() if line.startswith("#")], tags)

    def test_attributes_become_links(self):
        up, proxy, text, rewritten = self.ask_for_list(list_attributes=True)

        def link(path):
            return f"{proxy.origin}/stream?url={quote(up.url(path), safe='')}"

        catchup = link("/c?utc=UTC&end=END&d=DAY")
        for name, raw in (("UTC", "{utc}"), ("END", "${end}"), ("DAY", "{utc:Y-m-d H}")):
            catchup = catchup.replace(name, raw)
        expected = [
            f'#EXTM3U url-tvg="{link("/a.xml")},{link("/b.xml.gz")}" x-tvg-url={link("/c.xml")}',
            f"#EXTINF:-1 tvg-id=\"1\" tvg-logo='{link('/l.png')}' group-title=\"a,b\" "
            f'catchup="default" catchup-source="{catchup}",tvg-logo="{up.origin}/t"',
            link("/1.ts"),
            '#EXTINF:-1 catchup="append" catchup-source="&utc={utc}&lutc={lutc}",B',
            link("/2.ts?a=b") + "&sg_ext=.ts",
        ]
        self.assertEqual(rewritten.splitlines(), expected)
        # As a player does: it replaces placeholders, or appends the source to the channel's URL.
        played = catchup.replace("{utc}", "1").replace("${end}", "2").replace("{utc:Y-m-d H}", "3")
        proxy.ask(played[len(proxy.origin) :])
        proxy.ask((expected[4] + "&utc=1&lutc=2")[len(proxy.origin) :])
        self.assertEqual(up.targets()[1:], ["/c?utc=1&end=2&d=3", "/2.ts?a=b&utc=1&lutc=2"])


class LongLists(ProxyTest):
    CHANNELS = 20_000
    ENTRY = (
        '#EXTINF:-1 tvg-id="{0}" tvg-logo="http://logo.example/{0}.png",Channel {0}\n'
        "#EXTVLCOPT:http-user-agent=Neutral/1.0\n"
        "http://user:word@up.example/live/{0}.ts|Referer=http://site.example/$HD\n"
    )

    def test_a_long_list_is_sent_while_it_is_received(self):
        entries = [self.ENTRY.format(i).encode() for i in range(self.CHANNELS)]
        up = self.upstream(None)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: audio/x-mpegurl\r\n\r\n#EXTM3U\n"
        up.script = lambda _: Answer(head, "close", body=lambda: iter([b"".join(entries)]))
        proxy = self.own_proxy()
        proxy.stream(up.url("/warm-up"))
        before = proxy.resident_bytes()
        started = time.monotonic()
        response = proxy.stream(up.url("/list"))
        print(f"{self.CHANNELS} channels in {time.monotonic() - started:.2f} s")
        self.assertTrue(response.complete)
        for text in (
            b"&h_Authorization=Basic%20dXNlcjp3b3Jk", b"&referer=http%3A%2F%2Fsite.example%2F"
        ):
            self.assertEqual(response.body.count(text), self.CHANNELS)
        self.assertLess(proxy.resident_bytes() - before, 4 << 20)

    def test_headers_of_any_length_do_not_make_a_link_long(self):
        up = self.upstream(None)
        up.script = {
            "/list": playlist(
                "#EXTM3U\n" + "".join(f"#EXTVLCOPT:http-cookie={i}{'c' * 7000}\n" for i in range(9))
                + "".join(f"#KODIPROP:stream_headers=X-{i}={'c' * 999}\n" for i in range(99))
                + "http://up.example/a.ts\nhttp://up.example/b.ts\n"
            ),
            "/b.ts": status(404),
        }
        links = links_of(self.proxy().stream(up.url("/list")).text)
        self.assertLess(len(links[0]), 10_000)
        self.assertGreater(len(links[0]), 7_000)
        self.assertNotIn("h_", links[1])


class Pls(ProxyTest):
    TEXT = (
        "[playlist]\r\nNumberOfEntries=3\r\nFile1=UP/live?a=1\r\nTitle1=File1=x\r\n"
        "Length1=-1\r\nFileX=UP/no\r\nFILE3=rel.mp3|User-Agent=Neutral%2F1.0\r\nVersion=2"
    )

    def serve(self, content_type, path="/d/a.pls"):
        up = self.upstream(lambda _: ok(b"media"))
        text = self.TEXT.replace("UP", up.origin)
        listing = ok(text.encode(), content_type=content_type)
        up.script = lambda request: listing if request.path == path else ok(b"media")
        return up, text, up.url(path)

    def test_the_files_of_a_list_of_stations_become_links(self):
        for content_type, path in (
            ("audio/x-scpls", "/d/listen"), ("application/pls+xml; charset=x", "/d/listen"),
            ("text/plain", "/d/a.PLS"), ("application/octet-stream", "/d/a.pls"),
        ):
            up, text, url = self.serve(content_type, path)
            proxy = self.proxy()
            response = proxy.stream(url)
            self.assertEqual(response["Content-Type"], "audio/x-scpls")
            before, after = text.split("\r\n"), response.text.split("\r\n")
            links = [line.partition("=")[2] for line in (after[2], after[6])]
            self.assertEqual([after[2][:6], after[6][:6]], ["File1=", "FILE3="])
            del before[6], before[2], after[6], after[2]
            self.assertEqual(after, before)
            for link in links:
                self.assertTrue(link.startswith(proxy.origin), link)
                self.assertEqual(proxy.ask(link[len(proxy.origin) :]).body, b"media")
            self.assertEqual(up.targets()[1:], ["/live?a=1", "/d/rel.mp3"])
            self.assertEqual(up.requests[2]["User-Agent"], AGENT)
            head = proxy.stream(url, method="HEAD")
            self.assertEqual(head["Content-Type"], "audio/x-scpls")

    def test_another_text_of_that_type_is_relayed(self):
        for body in (b"[play", b"[list]\nFile1=a\n", b"", b"File1=http://h/\n", b"<html></html>"):
            up = self.upstream(ok(body, content_type="audio/x-scpls"))
            response = self.proxy().stream(up.url("/a.pls"))
            self.assertEqual((response.status, response.body), (200, body))
        up = self.upstream(ok(self.TEXT.encode(), content_type="video/mp2t"))
        self.assertEqual(self.proxy().stream(up.url("/a.ts")).text, self.TEXT)


if __name__ == "__main__":
    main()
