"""DASH manifests: what a player asks for next comes back through us."""

import base64
import glob
import gzip
import os
import re
import unittest
from xml.etree import ElementTree
from urllib.parse import urljoin

from harness import ProxyTest, link_target, main
from tokens import b64, hs256, with_tokens
from upstream import chunked, ok, redirect, status

DASH = "application/dash+xml"
BARE = '<?xml version="1.0"?>\n<MPD type="static"><Period><BaseURL>v/</BaseURL></Period></MPD>\n'


def mpd(text, **options):
    text = text if isinstance(text, bytes) else text.encode()
    return ok(text, content_type=DASH, **options)


class DashTest(ProxyTest):
    def link(self, url, carry="-", route="/at"):
        return f"{self.proxy().origin}{route}/{carry}/{url.replace('://', '/')}"

    def with_base(self, url):
        return BARE.replace("<Period>", f"<BaseURL>{self.link(url)}</BaseURL><Period>")

    def follow(self, text, before, after):
        """The answer to the link between two texts of a document."""
        link = text.partition(before)[2].partition(after)[0]
        self.assertTrue(link.startswith(self.proxy().origin + "/at/"), text)
        return self.proxy().ask(link.removeprefix(self.proxy().origin))

    PATCHED = (
        "<MPD type='dynamic'><BaseURL>{cdn}/v/</BaseURL><PatchLocation>patches/1</PatchLocation>"
        "<Period x:href='{other}/remote'/></MPD>"
    )
    PATCH = (
        b"<Patch><replace sel='/MPD/PatchLocation'><PatchLocation>patches/2</PatchLocation>"
        b"</replace><add sel='/MPD'><Period><SegmentURL media='/s'/></Period></add></Patch>"
    )

    def manifest_with_parts(self, **parameters):
        """A manifest with a patch and a remote element, on three hosts. Returns its text, and the
        upstream that the references of both parts belong to."""
        cdn = self.upstream(ok(b"S"))
        other = self.upstream({"/remote": ok(b"<Period><SegmentURL media='/s'/></Period>")})
        text = self.PATCHED.format(cdn=cdn.origin, other=other.origin)
        up = self.upstream({
            "/live/m.mpd": mpd(text), "/live/patches/1": redirect("/p/1?x"),
            "/p/1": ok(self.PATCH), "/live/patches/2": ok(self.PATCH),
        })
        return self.proxy().stream(up.url("/live/m.mpd"), **parameters).text, cdn


class Dash(DashTest):
    def test_a_manifest_gets_a_base_url_and_the_fields_of_a_document(self):
        up = self.upstream(mpd(BARE, headers={"ETag": '"1"', "Cache-Control": "max-age=2"}))
        for answer in (
            self.proxy().stream(up.url("/a/b/m.mpd?x=/y")),
            self.proxy().ask(link_target(self.link(up.url("/a/b/m.mpd?x=/y")))),
        ):
            self.assertEqual((answer.status, answer.text), (200, self.with_base(up.url("/a/b/"))))
            self.assertEqual(answer["Content-Type"], DASH)
            self.assertEqual(answer["Cache-Control"], "max-age=2")
            self.assertIsNone(answer["ETag"])
            self.assertIn("sandbox", answer["Content-Security-Policy"])
            self.assertEqual(answer["Access-Control-Allow-Origin"], "*")
        other = self.proxy().ask(f"/api/proxy/stream?url={up.url('/m.mpd')}")
        self.assertIn(self.link(up.url("/"), route="/api/proxy/at"), other.text)

    def test_type_name_or_first_bytes_make_a_document_a_manifest(self):
        comment = f"<!-- {'x' * 2000} -->{BARE.partition('?>')[2]}"
        for path, body, content_type in (
            ("/m", BARE, "text/plain"), ("/m", "\ufeff" + BARE, "video/mp4"),
            ("/m", f"\n{BARE}", "text/html"), ("/m.MPD", comment, "text/plain"),
            ("/m", comment, DASH), ("/m", comment, "text/plain"),
            ("/m", comment, "application/octet-stream"),
        ):
            for answer in (ok(body.encode(), content_type=content_type),
                           chunked(body.encode(), content_type=content_type, size=1).bytewise()):
                up = self.upstream(answer)
                made = self.proxy().stream(up.url(path))
                self.assertIn(self.link(up.url("/")), made.text, (path, content_type))
                self.assertEqual(made["Content-Type"], DASH)
        up = self.upstream(mpd(BARE))
        self.assertEqual(self.proxy().stream(up.url("/m"), method="HEAD")["Content-Type"], DASH)

    def test_coded_and_utf_16_manifests_are_rewritten(self):
        text = BARE.replace('"1.0"', '"1.0" encoding="utf-16"')
        plain = BARE.replace('"1.0"', '"1.0" encoding="UTF-8"')
        for body, headers, wanted in (
            (gzip.compress(BARE.encode()), {"Content-Encoding": "gzip"}, BARE),
            (text.encode("utf-16"), {}, plain), (b"\xfe\xff" + text.encode("utf-16-be"), {}, plain),
        ):
            up = self.upstream(mpd(body, headers=headers).bytewise())
            base = f"<BaseURL>{self.link(up.url('/'))}</BaseURL><Period>"
            made = self.proxy().stream(up.url("/m"))
            self.assertEqual(made.text, wanted.replace("<Period>", base))

    def test_the_final_url_is_the_base(self):
        up = self.upstream({"/old.mpd": redirect("/new/m.mpd?x"), "/new/m.mpd": mpd(BARE)})
        text = self.proxy().stream(up.url("/old.mpd")).text
        self.assertEqual(text, self.with_base(up.url("/new/")))

    def test_a_range_of_a_manifest_is_not_requested(self):
        def script(request):
            if request["Range"]:
                first, last = (int(number) for number in request["Range"][6:].split("-"))
                body = BARE.encode()[first : last + 1]
                part = {"Content-Range": f"bytes {first}-{last}/{len(BARE)}", "Content-Type": DASH}
                return status(206, part, body)
            return mpd(BARE)

        up = self.upstream(script)
        for path, wanted in (("/m", "0-19"), ("/m.mpd", "0-19"), ("/m.mpd", "5-19")):
            answer = self.proxy().stream(up.url(path), {"Range": f"bytes={wanted}"})
            self.assertEqual((answer.status, answer.text), (200, self.with_base(up.url("/"))))

    def test_a_shared_manifest_may_change_behind_a_long_beginning(self):
        links = "".join(f'<SegmentURL media="http://cdn.example/d/{i}.m4s"/>' for i in range(140))
        texts = [f"<MPD><Period>{links}<!-- {'x' * 6000} {end} --></Period></MPD>" for end in "ab"]
        up = self.upstream([mpd(text) for text in texts])
        proxy = self.own_proxy({"cache": {"memory": "64MiB"}, "workers": 1})
        for accept, end in ("a/a", "a"), ("a/a", "a"), ("b/b", "b"), ("b/b", "b"):
            answer = proxy.stream(up.url("/m.mpd"), {"Accept": accept})
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.text.endswith(f" {end} --></Period></MPD>"))
        self.assertEqual(len(up.requests), 2)

    def test_other_root_elements_are_relayed_unchanged(self):
        for body in (b"<Patch><add sel='/MPD'><BaseURL>/x</BaseURL></add></Patch>",
                     b"<html>&nbsp;<p>", b"<!DOCTYPE html>\n<html></html>", b"no XML"):
            up = self.upstream(mpd(body))
            answer = self.proxy().stream(up.url("/m.mpd"))
            self.assertEqual((answer.status, answer.body), (200, body))
            self.assertIn("sandbox", answer["Content-Security-Policy"])

    def test_a_document_that_cannot_be_read_is_502(self):
        for body in ("<!DOCTYPE MPD [<!ENTITY a 'b'>]><MPD>&a;</MPD>", "<MPD>&undefined;</MPD>",
                     "<MPD><Period></MPD>", "<MPD>"):
            up = self.upstream(mpd(body))
            answer = self.proxy().stream(up.url("/m.mpd"))
            refusal = (answer.status, answer["X-Streamgate-Error"])
            self.assertEqual(refusal, (502, "bad_document"), body)

    def test_a_document_that_breaks_late_never_looks_complete(self):
        text = "<MPD><Period>" + "<Label>text</Label>" * 20000
        up = self.upstream(mpd(text + "</MPD>"))
        self.assertFalse(self.proxy().stream(up.url("/m.mpd")).complete)

    def test_segments_become_links_and_licences_stay(self):
        period = (
            '<ContentProtection><ms:laurl licenseUrl="https://l/?a&amp;b"/></ContentProtection>'
            '<SegmentTemplate media="/$RepresentationID$/$Time%05d$.m4s?a=1&amp;b" '
            "initialization='http://cdn/i.mp4'/>"
        )
        text = f"<MPD><Location>n.mpd</Location><Period>{period}</Period></MPD>"
        up = self.upstream(mpd(text))
        made = self.proxy().stream(up.url("/a/m.mpd"), h_X="1").text
        carry = b64(b"h_X=1")
        self.assertEqual(
            made,
            f"<MPD><Location>{self.link(up.url('/a/n.mpd'), carry)}</Location><BaseURL>"
            f"{self.link(up.url('/a/'), carry)}</BaseURL><Period>"
            + period.replace("/$Rep", self.link(up.url("/$Rep"), carry)).replace(
                "http://cdn/i.mp4", self.link("http://cdn/i.mp4", carry)
            )
            + "</Period></MPD>",
        )

    def test_a_large_manifest_is_rewritten_to_its_end(self):
        timeline = "".join(f'<S t="{i * 180180}" d="180180" r="3"/>\n' for i in range(60000))
        text = BARE.replace("<BaseURL>", f"<SegmentTimeline>{timeline}</SegmentTimeline><BaseURL>")
        up = self.upstream(mpd(text))
        made = self.proxy().stream(up.url("/m.mpd"))
        self.assertTrue(made.complete)
        base = f"<BaseURL>{self.link(up.url('/'))}</BaseURL><Period>"
        self.assertEqual(made.text, text.replace("<Period>", base))

    def test_patches_remote_elements_and_steering_come_through_us(self):
        names = ("patch", "remote", "steering")
        live = '<MPD type="dynamic"><PatchLocation>patch</PatchLocation><ContentSteering>steering' \
               '</ContentSteering><BaseURL>b/</BaseURL><Period xlink:href="remote"/></MPD>'
        up = self.upstream({
            "/d/m.mpd": mpd(live),
            "/d/patch": ok(b'<Patch><add sel="/MPD"><PatchLocation>n</PatchLocation><Period>'
                           b'<SegmentURL media="/a"/></Period></add></Patch>',
                           content_type="text/xml"),
            "/d/remote": ok(b'<Period><SegmentURL media="/a"/><SegmentURL media="a"/></Period>'
                            b'<Period xlink:href="n"/>', content_type="text/xml"),
            "/d/steering": ok(b'{"RELOAD-URI":"http://s.example/n","PATHWAY-CLONES":[{"ID":"c"}]}'),
        })
        made = self.proxy().stream(up.url("/d/m.mpd"), **{"h_X-A": "b"}).text
        url = up.url("/d/m.mpd")
        # The PatchLocation stands in front of the BaseURL.
        notes = {"patch": f"{url} .", "remote": f"{url} {up.url('/d/b/')}"}

        def carry_of(kind, note):
            noted = f"&sg_v={b64(note.encode())}" if note else ""
            return b64(f"h_X-A=b{noted}&sg_k={kind}".encode())

        carries = {name: carry_of(name, notes.get(name)) for name in names}
        links = {name: self.link(up.url(f"/d/{name}"), carries[name]) for name in names}
        for link in links.values():
            self.assertIn(link, made)
        answers = {
            name: self.proxy().ask(link.removeprefix(self.proxy().origin))
            for name, link in links.items()
        }
        plain = b64(b"h_X-A=b")
        segment = f'<SegmentURL media="{self.link(up.url("/a"), plain)}"/>'
        self.assertEqual(
            answers["patch"].text,
            f'<Patch><add sel="/MPD"><PatchLocation>{self.link(up.url("/d/n"), carries["patch"])}'
            f"</PatchLocation><Period>{segment}</Period></add></Patch>")
        self.assertEqual(answers["patch"]["Content-Type"], "application/dash-patch+xml")
        nested = carry_of("remote", f"{up.url('/d/remote')} {up.url('/d/b/')}")
        self.assertEqual(
            answers["remote"].text,
            f'<Period>{segment}<SegmentURL media="a"/></Period>'
            f'<Period xlink:href="{self.link(up.url("/d/n"), nested)}"/>')
        self.assertEqual(answers["remote"]["Content-Type"], DASH)
        self.assertEqual(
            answers["steering"].text,
            f'{{"RELOAD-URI":"{self.proxy().origin}/stream?url=http%3A%2F%2Fs.example%2Fn'
            '&h_X-A=b&sg_k=steering"}')
        self.assertEqual({r["X-A"] for r in up.requests}, {"b"})

    def test_the_references_of_parts_belong_to_their_manifest(self):
        made, cdn = self.manifest_with_parts()
        remote = self.follow(made, "href='", "'").text
        self.assertEqual(self.follow(remote, "media='", "'").body, b"S")
        patch = self.follow(made, "<PatchLocation>", "</PatchLocation>").text
        again = self.follow(patch, "<PatchLocation>", "</PatchLocation>").text
        self.assertEqual(again, patch)
        self.assertEqual(self.follow(again, "media='", "'").body, b"S")
        self.assertEqual(cdn.targets(), ["/s", "/s"])

    def test_parts_in_utf_16_are_rewritten_as_utf_8(self):
        head = '<?xml version="1.0" encoding="%s"?>'
        segment = "<SegmentURL media='{}'/>"
        for kind, text in (("patch", f"<Patch><add sel='/MPD'>{segment}</add></Patch>"),
                           ("remote", f"<Period>{segment}</Period>")):
            up = self.upstream(ok((head % "UTF-16" + text.format("/\u00e9")).encode("utf-16")))
            made = self.proxy().stream(up.url("/p"), sg_k=kind)
            link = self.link(up.url("/%C3%A9"))
            self.assertEqual((made.status, made.text), (200, head % "UTF-8" + text.format(link)))

    def test_parameters_that_the_upstream_calls_as_ours_reach_it(self):
        query = "sg_token=t&amp;sg_grant=g&amp;sg_live=1&amp;sg_v=%2F&amp;h_X=1&amp;url=u"
        text = (
            f"<MPD><BaseURL>v/?{query}</BaseURL><Location>n.mpd?{query}</Location><Period>"
            f"<SegmentURL media='s?{query}' index='/i?{query}'/></Period></MPD>"
        )
        up = self.upstream({"/a/m.mpd": mpd(text), **{
            path: ok(b"x") for path in ("/a/v/", "/a/n.mpd", "/a/v/s", "/i")}})
        proxy = self.proxy()
        made = proxy.stream(up.url("/a/m.mpd?x=own")).text
        base = made.partition("<BaseURL>")[2].partition("<")[0]
        for before, after in (("<BaseURL>", "<"), ("<Location>", "<"), ("media='", "'"),
                              ("index='", "'")):
            link = urljoin(base, made.partition(before)[2].partition(after)[0])
            asked = link.removeprefix(proxy.origin).replace("&amp;", "&")
            self.assertEqual(proxy.ask(asked).body, b"x", link)
        asked_query = query.replace("&amp;", "&")
        self.assertEqual(up.targets(), [
            "/a/m.mpd?x=own",
            *(f"{path}?{asked_query}" for path in ("/a/v/", "/a/n.mpd", "/a/v/s", "/i"))])

    def test_a_query_that_is_written_out_keeps_a_token_of_the_upstream(self):
        text = ("<MPD><Period><up:UrlQueryInfo queryTemplate='$querypart$' useMPDUrlQuery='true'/>"
                "</Period></MPD>")
        up = self.upstream({"/m.mpd": mpd(text), "/s": ok(b"x")})
        proxy = self.proxy()
        made = proxy.stream(up.url("/m.mpd?sg_token=t")).text
        base = made.partition("<BaseURL>")[2].partition("<")[0]
        query = made.partition("queryString='")[2].partition("'")[0]
        proxy.ask(f"{base}s?{query}".removeprefix(proxy.origin))
        self.assertEqual(up.targets()[1:], ["/s?sg_token=t"])

    def test_a_query_for_one_origin_reaches_no_other(self):
        cdn = self.upstream(ok(b"x"))
        text = (f"<MPD><Period><AdaptationSet><Representation><ExtUrlQueryInfo queryString='b=%26'"
                f" queryTemplate='$querypart$' useMPDUrlQuery='true' sameOriginOnly='true'/>"
                f"<BaseURL>s</BaseURL><BaseURL>{cdn.url('/s')}</BaseURL></Representation>"
                f"</AdaptationSet></Period></MPD>")
        up = self.upstream({"/m.mpd": mpd(text), "/s": ok(b"x")})
        proxy = self.proxy()
        made = proxy.stream(up.url("/m.mpd?tok=a")).text
        base = made.partition("<BaseURL>")[2].partition("<")[0]
        query = made.partition("queryString='")[2].partition("'")[0].replace("&amp;", "&")
        foreign = made.partition("<BaseURL>s</BaseURL><BaseURL>")[2].partition("<")[0]
        for link in (f"{base}s", foreign):
            asked = f"{link}?v=1&{query}&w=2".removeprefix(proxy.origin)
            self.assertEqual(proxy.ask(asked).body, b"x", link)
        self.assertEqual(up.targets()[1:], ["/s?v=1&tok=a&b=%26&w=2"])
        self.assertEqual(cdn.targets(), ["/s?v=1&w=2"])

    def test_a_web_page_in_place_of_a_patch_passes_as_it_is(self):
        page = b"<!doctype html><html><body>gone</body></html>"
        up = self.upstream(ok(page, content_type="text/html"))
        made = self.proxy().stream(up.url("/p"), sg_k="patch")
        self.assertEqual((made.status, made.body), (200, page))
        self.assertEqual(made["Content-Type"], "text/plain")

    def test_live_links_do_not_change_with_cookies(self):
        cookie = {"Set-Cookie": "a=1; Path=/"}
        for kind, carry in (("dynamic", "-"), ("static", None)):
            up = self.upstream(mpd(BARE.replace("static", kind), headers=cookie))
            made = self.proxy().stream(up.url("/m.mpd")).text
            self.assertEqual(self.link(up.url("/")) in made, carry is not None, made)


class Tokens(DashTest):
    settings = with_tokens()

    def test_only_a_note_of_this_proxy_names_the_host_of_references(self):
        proxy = self.proxy()
        made, cdn = self.manifest_with_parts(sg_token=hs256())
        remote = self.follow(made, "href='", "'").text
        self.assertEqual(self.follow(remote, "media='", "'").body, b"S")
        forged = self.upstream(ok(b"F"))
        link = made.partition("<PatchLocation>")[2].partition("<")[0].removeprefix(proxy.origin)
        carry = base64.urlsafe_b64decode(link.split("/")[2] + "==").decode()
        note = b64(f"{forged.origin}/ {forged.origin}/".encode())
        patch = proxy.ask(link)
        self.assertEqual(patch.status, 200, patch.text)
        self.assertIn(f"/{cdn.port}/s", patch.text.replace(":", "/"))
        changed = re.sub("sg_v=[^&]*", "sg_v=" + note, carry)
        answer = proxy.ask(link.replace(link.split("/")[2], b64(changed.encode())))
        self.assert_error(answer, 403, "token_invalid")

    def test_links_carry_grants_for_their_directories(self):
        body = (
            "<MPD><Period>"
            "<SegmentTemplate media='/b/$RepresentationID$/s.m4s' initialization='i.mp4'/>"
            "<SegmentURL media='../up.mp4'/></Period></MPD>"
        )
        up = self.upstream({"/a/m.mpd": mpd(body)})
        proxy = self.proxy()
        text = proxy.stream(up.url("/a/m.mpd"), sg_token=hs256()).text
        base = text.partition("<BaseURL>")[2].partition("</BaseURL>")[0]
        media = text.partition("media='")[2].partition("'")[0].replace("$RepresentationID$", "v1")
        climbing = text.rpartition("media='")[2].partition("'")[0]
        up.script = ok(b"x")
        for link in (urljoin(base, "i.mp4"), urljoin(base, "v/i.mp4"), media, climbing):
            answer = proxy.ask(link.removeprefix(proxy.origin))
            self.assertEqual((answer.status, answer.body), (200, b"x"), link)
        outside = urljoin(base, "../c/i.mp4").removeprefix(proxy.origin)
        self.assertEqual(proxy.ask(outside)["X-Streamgate-Error"], "token_scope")


# --- an independent reading of manifests ---

SEGMENT = {
    "SegmentTemplate": ("media", "initialization", "index", "bitstreamSwitching"),
    "SegmentURL": ("media", "index"),
    "Initialization": ("sourceURL",),
    "RepresentationIndex": ("sourceURL",),
    "BitstreamSwitching": ("sourceURL",),
}
WHOLE = ("Location", "PatchLocation", "ContentSteering")
URL = re.compile(r"^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$", re.S)


def without_dots(path):
    out = []
    parts = path.split("/")
    for i, part in enumerate(parts):
        if part in (".", ".."):
            if part == ".." and len(out) > 1:
                out.pop()
            if i == len(parts) - 1:
                out.append("")
        else:
            out.append(part)
    return "/".join(out)


def resolve(base, reference):
    """RFC 3986 5.2.2."""
    scheme, host, path, query, fragment = URL.match(reference).groups()
    base_scheme, base_host, base_path, base_query, _ = URL.match(base).groups()
    if scheme is not None:
        return reference if host is None else f"{scheme}://{host}{without_dots(path)}{query or ''}"
    if host is None:
        host = base_host
        if path == "":
            path, query = base_path, query if query is not None else base_query
        elif path.startswith("/"):
            path = without_dots(path)
        else:
            path = without_dots((base_path or "/").rpartition("/")[0] + "/" + path)
    else:
        path = without_dots(path)
    return f"{base_scheme}://{host}{path}{query or ''}{fragment or ''}"


def with_lower_scheme(url):
    return re.sub(r"^HTTPS?", lambda m: m[0].lower(), url)


def addresses(text, url, base):
    """The absolute URLs of a manifest in order. `url` is its own. BaseURL is relative to `base`."""
    found = []

    def add(what, where, value):
        found.append((what, resolve(where, value.strip())))

    def walk(node, chain, level):
        name = node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""
        bases = [child for child in node if isinstance(child.tag, str)
                 and child.tag.rpartition("}")[2] == "BaseURL"]
        for child in bases:
            text = (child.text or "").strip()
            if not level or text:  # nobody asks for an empty one; that of the MPD has a directory
                add(f"{name}/BaseURL", chain, text or ".")
        if bases:
            chain = resolve(chain, (bases[0].text or "").strip())
        for attribute in SEGMENT.get(name, ()):
            if node.get(attribute):
                add(f"{name}@{attribute}", chain, node.get(attribute))
        if name in WHOLE and node.text:
            add(name, url, node.text)
        if name == "UTCTiming" and ":utc:http-" in node.get("schemeIdUri", ""):
            for value in node.get("value", "").split():
                add(name, url, value)
        for attribute, value in node.items():
            if attribute.endswith("}href"):
                add(f"{name}@href", url, value)
        for child in node:
            walk(child, chain, level + 1)

    walk(ElementTree.fromstring(text), base, 0)
    return found


CORPORA = os.environ.get("STREAMGATE_CORPORA", "")
PATTERN = os.path.join(CORPORA, "mpd", "**", "*.mpd") if CORPORA else ""
EXTERNAL = sorted(glob.glob(PATTERN, recursive=True))


@unittest.skipUnless(EXTERNAL, "STREAMGATE_CORPORA names no folder with mpd/")
class ExternalCorpus(ProxyTest):
    def upstream_url(self, url):
        """The URL that a link of ours leads to; other URLs are as they are."""
        route = self.proxy().origin + "/at/-/"
        self.assertFalse(url.startswith("http") and not url.startswith(route), url)
        return url.removeprefix(route).replace("/", "://", 1) if url.startswith(route) else url

    def check(self, body, up, path):
        url = up.url(path)
        answer = self.proxy().stream(url)
        self.assertEqual(answer.status, 200, answer.text)
        before = addresses(body, url, url)
        link = self.proxy().origin + "/stream"
        after = addresses(answer.body, link, link)
        after = [(what, self.upstream_url(found)) for what, found in after]
        if not any(what == "MPD/BaseURL" for what, _ in before):
            self.assertEqual(after.pop(0), ("MPD/BaseURL", resolve(url, ".")))
        # The same URL in another spelling: the scheme, and an empty path.
        expected = [
            (what, re.sub(r"^https?://[^/]*$", r"\g<0>/", with_lower_scheme(found)))
            for what, found in before
        ]
        self.assertEqual(after, expected)

    def test_each_reference_leads_through_us_to_the_url_that_it_names(self):
        checked = 0
        for file in EXTERNAL:
            with open(file, "rb") as opened:
                body = opened.read()
            try:
                root = ElementTree.fromstring(body)
            except ElementTree.ParseError:
                continue
            if root.tag.rpartition("}")[2] != "MPD":
                continue
            up = self.upstream(mpd(body))
            for path in ("/m.mpd", "/a/b/m.mpd?x=/y/z", "/a//b/../c/m.mpd"):
                with self.subTest(file=file, path=path):
                    self.check(body, up, path)
            checked += 1
        self.assertGreater(checked, 0)


if __name__ == "__main__":
    main()
