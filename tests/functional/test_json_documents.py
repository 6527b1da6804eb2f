"""JSON documents that playlists lead to: steering manifests, asset lists, chapters."""

import json
import re
from urllib.parse import parse_qs, quote, urlsplit

from harness import ProxyTest, main, stream_path
from http_client import gzip
from upstream import chunked, ok, playlist, redirect, status

JSON_TYPE = "application/json"


class JsonDocuments(ProxyTest):
    def ask(self, answer, kind, path="/a/list.json", **parameters):
        self.up = self.upstream(answer)
        return self.proxy().stream(self.up.url(path), sg_k=kind, **parameters)

    def link(self, path, **parameters):
        return self.proxy().origin + stream_path(self.up.url(path), **parameters)

    def assert_document(self, response, content, content_type=JSON_TYPE):
        self.assertEqual((response.status, response.complete), (200, True), response)
        self.assertEqual(json.loads(response.body), content)
        self.assertEqual(response["Content-Type"], content_type)
        self.assertEqual(response["Content-Length"], str(len(response.body)))
        self.assertIn("sandbox", response["Content-Security-Policy"])
        for name in ("ETag", "Content-Encoding", "Accept-Ranges"):
            self.assertIsNone(response[name], name)


class AssetLists(JsonDocuments):
    LIST = {
        "ASSETS": [
            {"URI": "ad.m3u8", "DURATION": 15.5},
            {"URI": "https://ads.example/2?a=1&b=2", "X-AD-CREATIVE-SIGNALING": {"URI": "u"}},
        ],
        "SKIP-CONTROL": {"OFFSET": 5},
    }

    def expected(self, **parameters):
        content = json.loads(json.dumps(self.LIST))
        content["ASSETS"][0]["URI"] = self.link("/a/ad.m3u8", **parameters)
        content["ASSETS"][1]["URI"] = self.proxy().origin + stream_path(
            "https://ads.example/2?a=1&b=2", **parameters
        )
        return content

    def test_the_assets_come_back_through_the_proxy(self):
        body = json.dumps(self.LIST).encode()
        for answer in (
            ok(body, {"ETag": '"x"', "Accept-Ranges": "bytes"}, JSON_TYPE),
            ok(b"\xef\xbb\xbf \r\n" + body, content_type="text/html"),
            chunked(body).bytewise(),
            ok(gzip(body), {"Content-Encoding": "gzip"}, JSON_TYPE),
            ok(gzip(body)),
        ):
            response = self.ask(answer, "assets")
            self.assert_document(response, self.expected())

    def test_assets_inherit_the_parameters_of_the_list_but_not_its_kind(self):
        response = self.ask(ok(json.dumps(self.LIST).encode()), "assets", h_X="1")
        content = self.expected(h_X="1")
        content["ASSETS"][0]["URI"] += "&sg_ext=.m3u8"
        self.assert_document(response, content)

    def test_scheduled_date_ranges_come_back_through_the_proxy(self):
        content = {
            "DATERANGES": [
                {"CLASS": "com.apple.hls.interstitial", "X-ASSET-LIST": "pod?id=1"},
                {"CLASS": "com.apple.hls.interstitial", "X-ASSET-URI": "https://ad.example/1.m3u8"},
            ]
        }
        response = self.ask(ok(json.dumps(content).encode(), content_type=JSON_TYPE), "assets")
        first, second = content["DATERANGES"]
        first["X-ASSET-LIST"] = self.link("/a/pod?id=1", sg_k="assets")
        second["X-ASSET-URI"] = self.proxy().origin + stream_path("https://ad.example/1.m3u8")
        self.assert_document(response, content)

    def test_references_belong_to_the_url_after_redirects(self):
        body = b'{"ASSETS":[{"URI":"ad"}]}'
        response = self.ask({"/a/list.json": redirect("/b/c"), "/b/c": ok(body)}, "assets")
        self.assert_document(response, {"ASSETS": [{"URI": self.link("/b/ad")}]})

    def test_the_directives_of_the_player_reach_the_upstream(self):
        self.ask(ok(b"{}"), "assets", _HLS_primary_id="p 1", _HLS_start_offset="3")
        (target,) = self.up.targets()
        self.assertEqual(target, "/a/list.json?_HLS_primary_id=p%201&_HLS_start_offset=3")

    def test_an_asset_itself_is_recognised_by_its_bytes(self):
        response = self.ask(playlist(b"#EXTM3U\nx.ts\n"), "assets")
        self.assertEqual(response.body, b"#EXTM3U\n" + self.link("/a/x.ts").encode() + b"\n")
        image = b"\x89PNG\r\n\x1a\n" + bytes(100)
        response = self.ask(ok(image, content_type="text/plain"), "assets")
        self.assertEqual((response.body, response["Content-Type"]), (image, "image/png"))

    def test_a_document_without_a_kind_is_relayed_unchanged(self):
        body = json.dumps(self.LIST).encode()
        for parameters in ({}, {"sg_k": "other"}):
            up = self.upstream(ok(body, {"ETag": '"x"'}, JSON_TYPE))
            response = self.proxy().stream(up.url("/l.json"), **parameters)
            self.assertEqual((response.body, response["ETag"]), (body, '"x"'))


class BadDocuments(JsonDocuments):
    def assert_bad(self, body, detail):
        response = self.ask(ok(body, content_type=JSON_TYPE), "steering")
        self.assert_error(response, 502, "bad_document")
        self.assertIn(detail, json.loads(response.body)["detail"])

    def test_malformed_json_is_refused(self):
        for body in (b"{", b'{"TTL":1}}', b'{"RELOAD-URI":"\xff"}', b"{'TTL':1}", b"[1,]"):
            self.assert_bad(body, "not well-formed JSON")

    def test_deep_json_is_refused(self):
        self.assert_bad(b"[" * 65 + b"]" * 65, "64 levels")

    def test_long_json_is_refused(self):
        self.assert_bad(b"[" + b" " * (1 << 20) + b"]", "1 MiB")
        self.assertEqual(self.ask(ok(b"[" + b" " * 1000000 + b"]"), "steering").status, 200)


class Steering(JsonDocuments):
    TYPE = "application/vnd.apple.steering-list"

    def test_reloads_come_back_and_clones_are_left_out(self):
        manifest = {
            "VERSION": 1,
            "TTL": 300,
            "RELOAD-URI": "next?session=1",
            "PATHWAY-PRIORITY": ["A", "B", "C"],
            "PATHWAY-CLONES": [{"ID": "C", "BASE-ID": "A", "URI-REPLACEMENT": {"HOST": "h"}}],
        }
        response = self.ask(ok(json.dumps(manifest).encode(), content_type=self.TYPE), "steering")
        del manifest["PATHWAY-CLONES"]
        manifest["RELOAD-URI"] = self.link("/a/next?session=1", sg_k="steering")
        self.assert_document(response, manifest, self.TYPE)

    def test_the_directives_of_the_player_reach_the_upstream(self):
        self.ask(ok(b"{}"), "steering", "/s?_HLS_pathway=old", _HLS_pathway="B")
        self.assertEqual(self.up.targets(), ["/s?_HLS_pathway=B"])

    def test_refusals_reach_the_player(self):
        for code in (410, 429):
            answer = status(code, {"Retry-After": "60", "Content-Type": self.TYPE}, b'{"a":1}')
            response = self.ask(answer, "steering")
            self.assertEqual(
                (response.status, response["Retry-After"], response.body), (code, "60", b'{"a":1}')
            )

    def test_the_tag_stays_and_leads_to_the_rewritten_manifest(self):
        tag = '#EXT-X-CONTENT-STEERING:SERVER-URI="%s",PATHWAY-ID="A"\n'
        up = self.upstream(
            {
                "/m.m3u8": playlist(b"#EXTM3U\n" + (tag % "/s?a=1").encode()),
                "/s": ok(b'{"TTL":1,"RELOAD-URI":"/t"}'),
            }
        )
        proxy = self.proxy()
        response = proxy.stream(up.url("/m.m3u8"))
        link = stream_path(up.url("/s?a=1"), sg_k="steering")
        self.assertEqual(response.text, "#EXTM3U\n" + tag % (proxy.origin + link))
        reload = json.loads(proxy.ask(link).body)["RELOAD-URI"]
        self.assertEqual(reload, proxy.origin + stream_path(up.url("/t"), sg_k="steering"))

    def test_a_head_has_the_type_and_no_length(self):
        up = self.upstream(ok(b'{"TTL":1}', content_type="text/plain"))
        response = self.proxy().stream(up.url("/s"), method="HEAD", sg_k="steering")
        self.assertEqual((response["Content-Type"], response["Content-Length"]), (self.TYPE, None))


class Interstitials(JsonDocuments):
    def test_the_link_of_an_asset_list_leads_to_the_rewritten_list(self):
        tag = '#EXT-X-DATERANGE:ID="1",CLASS="com.apple.hls.interstitial",X-ASSET-LIST="l?a=1,2"\n'
        up = self.upstream(
            {
                "/m.m3u8": playlist(b"#EXTM3U\n" + tag.encode()),
                "/l": ok(b'{"ASSETS":[{"URI":"https://ads.example/x"}]}'),
            }
        )
        proxy = self.proxy()
        text = proxy.stream(up.url("/m.m3u8")).text
        (link,) = re.findall(r'X-ASSET-LIST="([^"]*)"', text)
        (uri,) = [asset["URI"] for asset in json.loads(self.follow(proxy, link).body)["ASSETS"]]
        self.assertEqual(parse_qs(urlsplit(uri).query), {"url": ["https://ads.example/x"]})

    def follow(self, proxy, link):
        self.assertTrue(link.startswith(proxy.origin), link)
        return proxy.ask(link[len(proxy.origin) :])

    def test_the_chapters_of_session_data_are_rewritten(self):
        tag = '#EXT-X-SESSION-DATA:DATA-ID="com.apple.hls.chapters",URI="c/c.json"\n'
        up = self.upstream(
            {
                "/m.m3u8": playlist(b"#EXTM3U\n" + tag.encode()),
                "/c/c.json": ok(b'[{"chapter":1,"images":[{"url":"1.jpg"}]}]'),
            }
        )
        proxy = self.proxy()
        (link,) = re.findall(r'URI="([^"]*)"', proxy.stream(up.url("/m.m3u8")).text)
        (chapter,) = json.loads(self.follow(proxy, link).body)
        self.assertEqual(
            chapter["images"][0]["url"],
            f"{proxy.origin}/stream?url={quote(up.url('/c/1.jpg'), safe='')}",
        )


if __name__ == "__main__":
    main()
