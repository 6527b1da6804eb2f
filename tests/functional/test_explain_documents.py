"""`streamgate explain`: DASH manifests, and bodies behind a content coding."""

from explain import LIVE, PLAYS, TS, UPSTREAM, Explain
from harness import main
from http_client import gzip
from upstream import ok, playlist

MANIFEST = b"""<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><BaseURL>/media/</BaseURL><Period>
<AdaptationSet mimeType="video/mp4" codecs="avc1.4d401e">
<ContentProtection schemeIdUri="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"/>
<SegmentTemplate media="http://other.example/$Number$.m4s?t=SECRET" initialization="i.mp4"/>
<Representation id="1" bandwidth="800000" width="640" height="360"/>
</AdaptationSet></Period></MPD>
"""


class Manifests(Explain):
    def test_a_dash_manifest_is_read(self):
        up = self.upstream(ok(b"<MPD><Period/></MPD>", content_type="application/dash+xml"))
        self.assertEqual(self.explain(up.url("/m"), verdict=PLAYS)["kind"], "DASH manifest")
        broken = self.upstream(ok(b"<!DOCTYPE MPD><MPD/>", content_type="application/dash+xml"))
        report = self.explain(broken.url("/m"), verdict=UPSTREAM)
        self.assertEqual(report["reason"], "bad_document")

    def test_a_manifest_has_its_representations_keys_and_rewritten_links(self):
        up = self.upstream(ok(MANIFEST, content_type="application/dash+xml"))
        secret = ["--header", "Authorization: SECRET"]
        report = self.explain(up.url("/v/a.mpd?t=SECRET"), *secret, verdict=PLAYS)
        facts = report["manifest"]
        self.assertEqual((facts["window"], facts["periods"]), ("VOD", 1))
        self.assertEqual(facts["keys"], ["Widevine"])
        self.assertEqual(
            facts["representations"],
            [
                {
                    "type": "video/mp4",
                    "language": "",
                    "bandwidth": "800000",
                    "width": "640",
                    "height": "360",
                    "codecs": "avc1.4d401e",
                }
            ],
        )
        # The carry has the header, but not for another origin. A relative reference stays.
        self.assertEqual(
            {link["before"]: link["after"] for link in facts["rewritten"]["first"]},
            {
                "/media/": f"/at/*/{up.url('/media/').replace('://', '/')}",
                "http://other.example/$Number$.m4s?t=*":
                    "/at/-/http/other.example/$Number$.m4s?t=*",
            },
        )
        self.assertIn("Widevine", report["advice"][0])

    def test_a_long_manifest_has_the_facts_of_its_begin(self):
        segments = "".join(
            f"<SegmentURL media='http://other.example/{i}.m4s'/>" for i in range(20000)
        )
        text = (
            "<MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='dynamic'><Period><AdaptationSet>"
            f"<Representation bandwidth='9'><SegmentList>{segments}</SegmentList>"
            "</Representation></AdaptationSet></Period></MPD>"
        )
        coded = {"Content-Encoding": "gzip"}
        up = self.upstream(playlist(gzip(text.encode()), coded, "application/dash+xml"))
        report = self.explain(up.url("/m.mpd"), verdict=PLAYS)
        facts = report["manifest"]
        self.assertTrue(report["body"]["complete"])
        self.assertEqual((facts["truncated"], facts["window"]), (True, "live"))
        self.assertEqual(facts["representation_count"], 1)
        self.assertGreater(facts["rewritten"]["links"], 1000)


def long_manifest(segments, mistake_at=None):
    """About 48 bytes for each segment."""
    lines = [f"<SegmentURL media='http://other.example/{i}.m4s'/>" for i in range(segments)]
    if mistake_at is not None:
        lines[mistake_at] = "<SegmentURL></SegmentURI>"
    head = "<MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'><Period><AdaptationSet>"
    head += "<Representation bandwidth='9'><SegmentList>"
    tail = "</SegmentList></Representation></AdaptationSet></Period></MPD>"
    return (head + "".join(lines) + tail).encode()


class Long(Explain):
    """The body is longer than what is read: 1 MiB, decoded 4 MiB."""

    PART = "As far as it was read (1048576 bytes), the URL plays through the proxy: "

    def of(self, body, verdict, headers=None):
        up = self.upstream(playlist(body, headers or {}, "application/dash+xml"))
        return self.explain(up.url("/m.mpd"), verdict=verdict)

    def test_a_mistake_in_the_part_that_is_read_is_found(self):
        report = self.of(long_manifest(40_000, mistake_at=10_000), UPSTREAM)
        self.assertEqual((report["reason"], report["player_status"]), ("bad_document", 502))

    def test_the_report_says_that_only_a_part_was_judged(self):
        for body in (long_manifest(40_000), long_manifest(40_000, mistake_at=35_000)):
            report = self.of(body, PLAYS)
            self.assertTrue(report["partial"])
            self.assertTrue(report["summary"].startswith(self.PART + "DASH"), report["summary"])
            self.assertIn("at least 1 representation", report["summary"])

    def test_a_coded_body_that_is_long_when_decoded_is_judged_in_part(self):
        report = self.of(gzip(long_manifest(120_000)), PLAYS, {"Content-Encoding": "gzip"})
        self.assertEqual((report["body"]["complete"], report["partial"]), (True, True))

    def test_playlists_are_judged_in_part_too(self):
        for line, words in (
            ("#EXTINF:6,\n#EXT-X-BYTERANGE:1\na.ts\n", "live, at least "),
            ("#EXTINF:-1,A\nhttp://a.example/a.ts\n", "channel list (M3U) (at least "),
        ):
            report = self.of("#EXTM3U\n" + line * 60_000, PLAYS)
            self.assertTrue(report["partial"])
            self.assertTrue(report["summary"].startswith(self.PART), report["summary"])
            self.assertIn(words, report["summary"])
        report = self.of("#EXTM3U\n" + "# nothing\n" * 200_000, UPSTREAM)
        self.assertIn("no entry in the 1048576 bytes", report["summary"])

    def test_a_document_that_is_read_to_its_end_is_not_partial(self):
        self.assertNotIn("partial", self.of(long_manifest(10_000), PLAYS))
        self.assertNotIn("partial", self.of(LIVE, PLAYS))


class Coded(Explain):
    def test_a_coded_playlist_is_read(self):
        up = self.upstream(playlist(gzip(LIVE.encode()), {"Content-Encoding": "gzip"}))
        self.assertEqual(self.explain(up.url(), verdict=PLAYS)["playlist"]["segments"], 2)

    def test_a_document_whose_coding_is_damaged_does_not_play(self):
        coded = {"Content-Encoding": "gzip"}
        for text in (LIVE.encode() * 2000, long_manifest(2000)):
            whole = gzip(text)
            broken = bytearray(whole)
            broken[len(whole) // 2] ^= 0xFF
            for body, reason in (
                (bytes(broken), "bad_response"),
                (whole[:-20], "truncated_body"),
            ):
                up = self.upstream(playlist(body, coded))
                report = self.explain(up.url("/a"), verdict=UPSTREAM)
                self.assertEqual((report["reason"], report["player_status"]), (reason, 502))

    def test_coded_pages_and_damaged_data_do_not_play(self):
        coded = {"Content-Encoding": "gzip"}
        up = self.upstream(
            {
                "/page": playlist(gzip(b"<!doctype html><p>Log in"), coded),
                "/damaged": playlist(b"\x1f\x8b\x08no gzip at all", coded),
                "/media": playlist(gzip(TS), coded, "video/mp2t"),
            }
        )
        kinds = {
            "/page": ("HTML page", UPSTREAM),
            "/damaged": ("damaged data", UPSTREAM),
            "/media": ("video/mp2t", PLAYS),
        }
        for path, (kind, verdict) in kinds.items():
            self.assertEqual(self.explain(up.url(path), verdict=verdict)["kind"], kind)


if __name__ == "__main__":
    main()
