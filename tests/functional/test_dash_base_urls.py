"""Several BaseURLs of one element: a player chooses one, and changes to another."""

import re
from urllib.parse import urljoin

from harness import ProxyTest, main
from tokens import hs256, with_tokens
from upstream import ok


class Alternatives(ProxyTest):
    def hosts(self, paths):
        answers = {path: ok(b"x") for path in paths}
        return [self.upstream(answers) for _ in range(2)]

    def manifest(self, hosts, references, **parameters):
        """The rewritten manifest: its BaseURLs, and its references in their order."""
        bases = "".join(f"<BaseURL>{up.url(path)}</BaseURL>" for up, path in hosts)
        segments = "".join(f"<SegmentURL media='{reference}'/>" for reference in references)
        text = f"<MPD>{bases}<Period><SegmentList>{segments}</SegmentList></Period></MPD>"
        up = self.upstream(ok(text.encode(), content_type="application/dash+xml"))
        made = self.proxy().stream(up.url("/m.mpd"), **parameters).text
        found = re.findall("<BaseURL>(.*?)</BaseURL>", made)
        self.assertEqual(len(found), len(hosts), made)
        return found, re.findall("media='(.*?)'", made)

    def ask(self, base, reference):
        link = urljoin(base, reference)
        self.assertTrue(link.startswith(self.proxy().origin), link)
        return self.proxy().ask(link.removeprefix(self.proxy().origin))


class BaseUrls(Alternatives):
    def test_rooted_segments_come_from_the_host_that_the_player_chooses(self):
        first, second = self.hosts(("/s/1.m4s", "/v/2.m4s"))
        bases, references = self.manifest(
            ((first, "/v/w/"), (second, "/x/y/")), ("/s/1.m4s", "/v/2.m4s"))
        for up, base in zip((first, second), bases):
            for reference in references:
                self.assertEqual(self.ask(base, reference).body, b"x", (base, reference))
            self.assertEqual(up.targets(), ["/s/1.m4s", "/v/2.m4s"])

    def test_no_segment_climbs_above_the_root_of_any_host(self):
        first, second = self.hosts(("/1.m4s", "/v/2.m4s"))
        bases, references = self.manifest(
            ((first, "/v/w/"), (second, "/v/")), ("../../1.m4s", "../v/2.m4s"))
        for base in bases:
            for reference in references:
                self.assertIn(self.ask(base, reference).status, (200, 404), (base, reference))
        self.assertEqual(first.targets(), ["/1.m4s", "/v/v/2.m4s", "/1.m4s"])
        self.assertEqual(second.targets(), ["/v/2.m4s"])


class Grants(Alternatives):
    settings = with_tokens()

    def test_rooted_segments_have_grants_of_their_own(self):
        first, second = self.hosts(("/s/1.m4s",))
        bases, references = self.manifest(
            ((first, "/v/"), (second, "/v/")), ("/s/1.m4s",), sg_token=hs256())
        for base in bases:
            self.assertEqual(self.ask(base, references[0]).body, b"x")
        self.assertEqual((first.targets(), second.targets()), (["/s/1.m4s"] * 2, []))


if __name__ == "__main__":
    main()
