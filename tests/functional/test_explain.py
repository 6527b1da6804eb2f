"""`streamgate explain`: the steps of a fetch, its verdict as exit status, and the advice."""

import base64
import json
import os
import signal
from urllib.parse import urlencode

from admin import ADMIN, admin_address, ask
from certificates import Authority
from explain import LIVE, PLAYS, REFUSED, TS, UPSTREAM, USAGE, Explain
from harness import ProxyTest, closed_port, main, path_link, stream_path, streamgate, wait_until
from http_client import Client
from upstream import Answer, ok, playlist, redirect, status

MULTIVARIANT = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="en",URI="audio/en.m3u8?t=SECRET"
#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360,CODECS="avc1.4d401e,mp4a.40.2",AUDIO="a"
low/index.m3u8?t=SECRET
#EXT-X-STREAM-INF:BANDWIDTH=2500000,RESOLUTION=1280x720,CODECS="avc1.4d401f,mp4a.40.2",AUDIO="a"
high/index.m3u8?t=SECRET
"""


class Plays(Explain):
    def test_media_plays_and_each_step_has_its_time(self):
        up = self.upstream(ok(TS, content_type="application/octet-stream"))
        report = self.explain(up.url("/a?token=SECRET", host="localhost"), verdict=PLAYS)
        self.assertEqual(report["kind"], "video/mp2t")
        (request,) = report["requests"]
        self.assertEqual(request["status"], 200)
        self.assertEqual(set(request["timing"]), {"resolve_ms", "connect_ms", "first_byte_ms"})
        tried = {entry["address"]: entry for entry in request["addresses"]}
        self.assertTrue(tried["127.0.0.1"]["allowed"] and tried["127.0.0.1"]["connected"])
        self.assertIn({"name": "Content-Length", "value": str(len(TS))}, request["headers"])
        self.assertEqual(report["url"], up.url("/a?token=*", host="localhost"))

    def test_a_multivariant_playlist_has_its_variants_and_rewritten_links(self):
        up = self.upstream(playlist(MULTIVARIANT))
        report = self.explain(up.url("/v/m.m3u8"), verdict=PLAYS)
        facts = report["playlist"]
        self.assertEqual(report["kind"], "HLS multivariant playlist")
        self.assertEqual((facts["variant_count"], facts["renditions"]), (2, 1))
        self.assertEqual(
            facts["variants"][1],
            {
                "url": "high/index.m3u8?t=*",
                "bandwidth": "2500000",
                "resolution": "1280x720",
                "codecs": "avc1.4d401f,mp4a.40.2",
            },
        )
        self.assertEqual(facts["rewritten"]["lines"], 3)
        second = facts["rewritten"]["first"][1]
        self.assertEqual(second["before"], "low/index.m3u8?t=*")
        self.assertTrue(
            second["after"].startswith(stream_path(up.url("/v/low/index.m3u8?t=*"))), second
        )

    def test_variants_beyond_the_limits_are_left_out(self):
        up = self.upstream(playlist(MULTIVARIANT))
        url = up.url("/v/m.m3u8")
        for config, explained in (
            ({"hls": {"max_height": 400}}, url),
            ({"hls": {"max_bandwidth": 900000}}, url),
            ({}, f"http://proxy.example{stream_path(url, sg_max_height='400')}"),
        ):
            facts = self.explain(explained, verdict=PLAYS, settings=config)["playlist"]
            self.assertEqual((facts["variant_count"], facts["variants_left_out"]), (1, 1), config)
            self.assertEqual(facts["variants"][0]["resolution"], "640x360")
            self.assertEqual(facts["rewritten"]["lines"], 2)

    def test_a_media_playlist_is_live_or_vod_and_names_its_keys(self):
        up = self.upstream({"/live": playlist(LIVE), "/vod": playlist(LIVE + "#EXT-X-ENDLIST\n")})
        live = self.explain(up.url("/live"), verdict=PLAYS)["playlist"]
        self.assertEqual((live["type"], live["window"], live["segments"]), ("media", "live", 2))
        self.assertEqual((live["keys"], live["target_duration"]), (["AES-128"], "6"))
        self.assertEqual(live["rewritten"]["lines"], 3)
        self.assertEqual(self.explain(up.url("/vod"), verdict=PLAYS)["playlist"]["window"], "VOD")

    def test_a_channel_list_is_named_and_counted(self):
        up = self.upstream(playlist("#EXTM3U\n#EXTINF:-1,One\nhttp://c.example/1\n"))
        report = self.explain(up.url(), verdict=PLAYS)
        self.assertEqual(report["kind"], "channel list (M3U)")
        self.assertEqual(report["playlist"]["channels"], 1)

    def test_links_of_the_path_form_have_no_secrets(self):
        up = self.upstream(playlist("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n/a.ts\n"))
        report = self.explain(
            up.url("/m"),
            "--header",
            "Authorization: SECRET",
            verdict=PLAYS,
            settings={"hls": {"child_urls": "path"}},
        )
        (link,) = report["playlist"]["rewritten"]["first"]
        self.assertEqual(link["after"], f"/at/*/{up.url('/a.ts').replace('://', '/')}")

    def test_each_redirect_is_a_request_of_its_own(self):
        up = self.upstream({"/a": redirect("/b?k=SECRET"), "/b": ok(TS)})
        first, second = self.explain(up.url("/a"), verdict=PLAYS)["requests"]
        self.assertEqual((first["status"], first["location"]), (302, "/b?k=*"))
        self.assertEqual((second["status"], second["url"]), (200, up.url("/b?k=*")))

    def test_a_repetition_without_referer_is_shown(self):
        up = self.upstream(lambda r: status(403) if r["Referer"] else ok(TS))
        first, second = self.explain(up.url("/a"), verdict=PLAYS)["requests"]
        self.assertEqual((first["status"], second["status"]), (403, 200))
        self.assertTrue(second["repeated"])

    def test_the_url_in_front_of_a_bar_is_tried(self):
        up = self.upstream({"/a.ts": ok(TS)})
        first, second = self.explain(up.url("/a.ts|VLC"), verdict=PLAYS)["requests"]
        self.assertEqual((first["status"], second["status"]), (404, 200))

    def test_a_link_and_headers_are_sent_as_by_the_proxy(self):
        up = self.upstream(ok(TS))
        link = "https://proxy.example" + stream_path(
            up.url("/a"), referer="http://page.example/", **{"h_X-A": "1"}
        )
        self.explain(link, "--header", "X-B: two", "--header", "X-C:three", verdict=PLAYS)
        request = up.requests[-1]
        self.assertEqual(
            [request[name] for name in ("Referer", "X-A", "X-B", "X-C")],
            ["http://page.example/", "1", "two", "three"],
        )

    def test_a_link_of_the_path_form_is_explained_with_its_carry(self):
        up = self.upstream(ok(TS))
        carry = base64.urlsafe_b64encode(b"referer=http%3A%2F%2Fpage.example%2F").decode()
        for route in ("/at", "/api/proxy/at"):
            link = "https://proxy.example" + path_link(up.url("/a?b=c"), carry.rstrip("="), route)
            for text in (link, f" {link}\n"):
                self.explain(text, verdict=PLAYS)
                request = up.requests[-1]
                self.assertEqual(request.target, "/a?b=c")
                self.assertEqual(request["Referer"], "http://page.example/")

    def test_a_link_behind_the_public_url_is_explained(self):
        up = self.upstream(ok(TS))
        settings = {"public_url": "https://tv.example/x/y"}
        for link in (stream_path(up.url("/a")), path_link(up.url("/a"))):
            report = self.explain(
                "https://tv.example/x/y" + link, verdict=PLAYS, settings=settings
            )
            self.assertEqual(report["requests"][0]["url"], up.url("/a"))

    def test_a_link_behind_the_prefix_of_a_front_is_explained(self):
        up = self.upstream(ok(TS))
        listed = self.upstream(playlist(f"#EXTM3U\n#EXTINF:4,\n{up.url('/a.ts')}\n"))
        for form in ("query", "path"):
            proxy = self.proxy(trusted_proxies="loopback", hls={"child_urls": form})
            forwarded = {"X-Forwarded-Host": "tv.example", "X-Forwarded-Prefix": "/x/y"}
            link = proxy.stream(listed.url("/i.m3u8"), forwarded).text.splitlines()[-1]
            self.assertTrue(link.startswith("http://tv.example/x/y/"), link)
            report = self.explain(link, verdict=PLAYS)
            self.assertEqual(report["requests"][0]["url"], up.url("/a.ts"))

    def test_secrets_in_the_path_of_a_link_are_masked(self):
        up = self.upstream(redirect("/u/SECRET/stream/SECRET?url=b"))
        self.explain(up.url("/u/SECRET/stream/SECRET?url=a"), verdict=UPSTREAM)
        self.explain("/stream/SECRET?url=ftp://a.example/", verdict=REFUSED)

    def test_cookies_are_masked_and_control_bytes_replaced(self):
        up = self.upstream(ok(TS, {"Set-Cookie": "sid=SECRET; Path=/", "X-Odd": "a\x1b[31mb"}))
        (request,) = self.explain(up.url(), verdict=PLAYS)["requests"]
        self.assertIn({"name": "Set-Cookie", "value": "sid=*"}, request["headers"])

    def test_an_endless_stream_is_explained_by_its_first_bytes(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"
        up = self.upstream(Answer(head + TS, "stall"))
        self.assertEqual(self.explain(up.url(), verdict=PLAYS)["kind"], "video/mp2t")

    def test_at_most_a_mebibyte_of_a_playlist_is_read(self):
        up = self.upstream(playlist("#EXTM3U\n" + "#EXTINF:1,\nseg.ts\n" * 100000))
        report = self.explain(up.url(), verdict=PLAYS)
        self.assertEqual(report["body"], {**report["body"], "bytes_read": 1 << 20})
        self.assertFalse(report["body"]["complete"])

    def test_it_works_without_a_configuration(self):
        up = self.upstream(ok(TS))
        done = streamgate(
            "explain", up.url(), "--json", environment={"ASAN_OPTIONS": "detect_leaks=0"}
        )
        report = json.loads(done.stdout)
        self.assertEqual((done.returncode, report["cause"]), (REFUSED, "not_public"))


class UpstreamProblems(Explain):
    def test_statuses_have_advice(self):
        up = self.upstream(lambda r: status(int(r.path[1:])))
        words = {401: "password", 403: "Referer", 404: "path", 458: "account", 500: "later"}
        for code, word in words.items():
            report = self.explain(up.url(f"/{code}"), verdict=UPSTREAM)
            self.assertEqual(report["player_status"], code)
            self.assertIn(word, " ".join(report["advice"]))

    def test_pages_and_other_texts_do_not_play(self):
        for body, kind in (
            (b"\n<!DOCTYPE html><html>login</html>", "HTML page"),
            (b'{"error": 1}', "JSON document"),
            (b"<?xml version='1.0'?><a/>", "XML document"),
            (b"sold out", "text"),
            (b"", "empty body"),
        ):
            report = self.explain(self.upstream(ok(body)).url("/i"), verdict=UPSTREAM)
            self.assertEqual(report["kind"], kind)
            self.assertTrue(report["advice"])

    def test_an_empty_playlist_does_not_play(self):
        report = self.explain(self.upstream(playlist("#EXTM3U\n")).url(), verdict=UPSTREAM)
        self.assertEqual(report["summary"], "The playlist is empty.")

    def test_a_refused_connection_is_explained(self):
        report = self.explain(f"http://127.0.0.1:{closed_port()}/", verdict=UPSTREAM)
        self.assertEqual(report["reason"], "connect_failed")
        self.assertEqual(report["cause"], "connection_refused")
        (request,) = report["requests"]
        self.assertEqual(request["addresses"][0]["connect_error"], "the connection was refused")

    def test_an_unknown_name_is_explained(self):
        report = self.explain("http://no-such-host.invalid/", verdict=UPSTREAM)
        self.assertEqual(report["reason"], "dns_failed")

    def test_a_silent_upstream_ends_at_the_limit(self):
        up = self.upstream(Answer(b"", "stall"))
        report = self.explain(up.url(), "--limit", "1", verdict=UPSTREAM)
        self.assertEqual(report["reason"], "first_byte_timeout")
        self.assertIn("no answer within 1000 ms", report["detail"])

    def test_a_redirect_loop_is_shown(self):
        report = self.explain(self.upstream(redirect("/x")).url(), verdict=UPSTREAM)
        self.assertEqual((report["reason"], len(report["requests"])), ("too_many_redirects", 11))


class Certificates(Explain):
    def test_tls_facts_are_shown_for_good_and_bad_certificates(self):
        authority = Authority(self.folder.name)
        settings = {"upstream": {"tls": {"ca_file": authority.certificate}}}
        up = self.upstream(ok(TS), tls=authority.issue("localhost", "b.example"))
        url = up.url(host="localhost")
        (request,) = self.explain(url, verdict=PLAYS, settings=settings)["requests"]
        facts = request["tls"]
        self.assertEqual((facts["version"], facts["verification"]), ("TLSv1.3", "ok"))
        self.assertEqual(facts["certificate"]["names"], ["localhost", "b.example"])
        self.assertEqual(facts["certificate"]["issuer"], "Streamgate test CA")
        self.assertIn("tls_ms", request["timing"])

        report = self.explain(up.url(), verdict=UPSTREAM, settings=settings)
        self.assertEqual(report["cause"], "certificate_wrong_name")
        facts = report["requests"][0]["tls"]
        self.assertEqual(facts["certificate"]["names"], ["localhost", "b.example"])
        self.assertTrue(facts["required"])

        expired = authority.issue_between("20200101000000Z", "20200102000000Z", "localhost")
        up = self.upstream(ok(TS), tls=expired)
        report = self.explain(up.url(host="localhost"), verdict=UPSTREAM, settings=settings)
        self.assertEqual(report["cause"], "certificate_expired")
        certificate = report["requests"][0]["tls"]["certificate"]
        self.assertEqual(certificate["not_after"], "2020-01-02T00:00:00Z")


class Refusals(Explain):
    def test_a_private_address_names_the_key(self):
        settings = {"security": {"allow_private": []}}
        report = self.explain("http://127.0.0.1:8081/", verdict=REFUSED, settings=settings)
        self.assertEqual((report["reason"], report["player_status"]), ("target_forbidden", 403))
        self.assertIn("security.allow_private", " ".join(report["advice"]))
        (request,) = report["requests"]
        self.assertFalse(request["addresses"][0]["allowed"])

    def test_a_redirect_to_a_private_address_is_refused(self):
        up = self.upstream(redirect("http://10.1.2.3/x"))
        report = self.explain(up.url(), verdict=REFUSED)
        self.assertEqual(len(report["requests"]), 2)
        self.assertIn("10.1.2.3", report["detail"])

    def test_the_address_of_the_service_itself_is_a_loop(self):
        port = closed_port()
        settings = {"listen": f"0.0.0.0:{port}"}
        report = self.explain(f"http://127.0.0.1:{port}/", verdict=REFUSED, settings=settings)
        self.assertEqual(report["reason"], "loop")

    def test_bad_urls_headers_and_ca_files_are_refused(self):
        self.assertEqual(self.explain("ftp://h/", verdict=REFUSED)["reason"], "bad_url")
        report = self.explain("http://h/", "--header", "Host: x", verdict=REFUSED)
        self.assertIn("h_Host is not allowed", report["detail"])
        settings = {"upstream": {"tls": {"ca_file": "/nonexistent"}}}
        report = self.explain("http://h.example/", verdict=REFUSED, settings=settings)
        self.assertIn("/nonexistent", report["detail"])


class Admin(ProxyTest):
    """POST /explain on the admin listener."""

    settings = {"admin": ADMIN}

    def post(self, body, content_type="application/x-www-form-urlencoded", headers=(), **options):
        with Client(admin_address(options.get("proxy") or self.proxy())) as client:
            data = body if isinstance(body, bytes) else body.encode()
            fields = [
                ("Content-Type", content_type),
                ("Content-Length", str(len(data))),
                ("Connection", "close"),
                *headers,
            ]
            client.request(options.get("target", "/explain"), fields, "POST")
            client.send(data)
            return client.read_response("POST")

    def report(self, response):
        self.assertEqual(response.status, 200, response)
        self.assertEqual(response["Access-Control-Allow-Origin"], None)
        return json.loads(response.body)

    def test_a_form_and_a_json_object_are_explained(self):
        up = self.upstream(ok(TS))
        form = {"url": up.url("/a?t=SECRET"), "referer": "http://p.example/", "h_X-A": "1"}
        report = self.report(self.post(urlencode(form)))
        self.assertEqual((report["verdict"], report["kind"]), ("plays", "video/mp2t"))
        self.assertEqual(report["url"], up.url("/a?t=*"))
        text = json.dumps({"url": up.url("/b"), "headers": {"X-A": "2"}})
        self.assertEqual(self.report(self.post(text, "application/json"))["verdict"], "plays")
        first, second = up.requests
        self.assertEqual((first["Referer"], first["X-A"]), ("http://p.example/", "1"))
        self.assertEqual((second.target, second["X-A"]), ("/b", "2"))

    def test_refusals_and_failures_are_reports_too(self):
        for url, verdict in (
            ("http://10.1.2.3/", "refused"),
            ("ftp://h/", "refused"),
            (f"http://127.0.0.1:{closed_port()}/", "upstream_problem"),
            ("http://%s:%d/metrics" % admin_address(self.proxy()), "refused"),
        ):
            report = self.report(self.post(urlencode({"url": url})))
            self.assertEqual(report["verdict"], verdict, report)

    def test_bodies_without_a_url_and_other_methods_are_refused(self):
        for body, content_type in (
            ("", "application/x-www-form-urlencoded"),
            ("url=", "application/x-www-form-urlencoded"),
            ("{", "application/json"),
            ("[]", "application/json"),
            ('{"url": 1}', "application/json"),
            ('{"url": "http://h/", "headers": {"a": 1}}', "application/json"),
            (b'{"url": "\xff"}', "application/json"),
        ):
            self.assertEqual(self.post(body, content_type).status, 400, body)
        self.assertEqual(self.post("url=" + "x" * 20000).status, 413)
        self.assertEqual(self.post("url=x", target="/status").status, 405)
        response = ask(admin_address(self.proxy()), "/explain")
        self.assertEqual((response.status, response["Allow"]), (405, "POST"))

    def test_pages_of_other_origins_are_refused(self):
        response = self.post("url=x", headers=[("Origin", "https://public.example")])
        self.assertEqual(response.status, 403)

    def begin(self, proxy, up):
        """A client that waits for the explanation of a URL that does not answer."""
        body = urlencode({"url": up.url()}).encode()
        client = Client(admin_address(proxy))
        self.addCleanup(client.close)
        client.request("/explain", [("Content-Length", str(len(body)))], "POST")
        client.send(body)
        wait_until(lambda: up.requests, what="the request of the first explanation")
        return client

    def test_all_workers_explain_one_url_at_a_time(self):
        proxy = self.own_proxy({"workers": 2})
        up, other = self.upstream(Answer(b"", "stall")), self.upstream(lambda request: ok(TS))
        body = urlencode({"url": other.url()})
        client = self.begin(proxy, up)
        for _ in range(8):  # connections, so that each worker gets some
            response = self.post(body, proxy=proxy)
            self.assertEqual((response.status, response["Retry-After"]), (429, "10"))
        self.assertEqual(other.requests, [])
        client.close()
        wait_until(up.answers[0].closed.is_set, what="the end of the first explanation")
        for _ in range(8):
            self.assertEqual(self.report(self.post(body, proxy=proxy))["verdict"], "plays")

    def test_a_worker_that_dies_does_not_keep_others_from_explaining(self):
        proxy = self.own_proxy()
        up, other = self.upstream(Answer(b"", "stall")), self.upstream(ok(TS))
        self.begin(proxy, up)
        os.kill(proxy.workers()[0], signal.SIGKILL)
        proxy.wait_for_event("worker.died")
        report = self.report(self.post(urlencode({"url": other.url()}), proxy=proxy))
        self.assertEqual(report["verdict"], "plays")

    def test_the_proxy_still_refuses_a_post(self):
        self.assertEqual(self.proxy().ask("/explain", method="POST").status, 405)


class Usage(Explain):
    def test_wrong_usage_is_64(self):
        for line in (
            ["explain"],
            ["explain", "http://h/", "--what"],
            ["explain", "http://h/", "--limit", "0"],
            ["explain", "http://h/", "--header", "none"],
            ["explain", "http://h/", "-c", "/nonexistent"],
        ):
            done = streamgate(*line)
            self.assertEqual((done.returncode, done.stdout), (USAGE, ""), line)
            self.assertTrue(done.stderr)

    def test_the_help_of_a_subcommand_names_the_configuration(self):
        for command in ("explain", "healthcheck", "sign"):
            done = streamgate(command, "--help")
            self.assertEqual(done.returncode, 0, done)
            self.assertIn("-c,--config FILE", done.stdout)


if __name__ == "__main__":
    main()
