"""The page for people: its routes and files, and that no upstream can replace them."""

import gzip
import re

from harness import ProxyTest, main, stream_path
from upstream import ok, status

ENTRY = re.compile(r"^  (\w+): \[(.*?)\],$", re.MULTILINE | re.DOTALL)
TEXT = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")
# Keys whose end is computed: `kind_${kind}`.
FAMILIES = ("kind_", "fact_", "form_", "status_")
# Names that are the same in every language.
NAMES = {"input_example", "channel_count", "kind_mp4", "kind_ogg"}
ON = {"page": {"enabled": True}}
SCRIPT = {"Sec-Fetch-Dest": "script", "Sec-Fetch-Site": "same-origin"}


class Page(ProxyTest):
    def test_is_off_by_default(self):
        for path in ("/", "/page/app.js", "/api/proxy/"):
            self.assert_error(self.proxy().ask(path), 404, "not_found")

    def test_serves_the_page_and_every_file_that_it_names(self):
        proxy = self.proxy(**ON)
        for mount in ("/", "/api/proxy/"):
            page = proxy.ask(mount)
            self.assertEqual(page.status, 200)
            names = set(re.findall(rb'(?:src|href)="(page/[^"]+)"', page.body))
            self.assertGreaterEqual(names, {b"page/app.js", b"page/style.css", b"page/icon.svg"})
            while names:
                name = names.pop().decode()
                file = proxy.ask(mount + name)
                self.assertEqual(file.status, 200, name)
                imports = re.findall(rb"from '\./([a-z.]+)'", file.body)
                names |= {b"page/" + i for i in imports} - {name.encode()}

    def test_its_requests_are_in_the_access_log(self):
        proxy = self.proxy(**ON)
        size = len(proxy.ask("/page/app.js").body)
        entry = proxy.wait_for_access()
        self.assertEqual((entry["route"], entry["status"]), ("/page/app.js", "200"))
        self.assertEqual((entry["reason"], entry["bytes"]), ("ok", str(size)))

    def test_a_large_file_arrives_whole_and_the_connection_stays(self):
        plain = self.proxy(**ON).ask("/page/strings.js").body
        with self.proxy(**ON).connect() as client:
            for _ in range(3):
                client.request("/page/strings.js", {"Accept-Encoding": "gzip"}.items())
                file = client.read_response()
                self.assertEqual(file["Content-Encoding"], "gzip")
                self.assertEqual(gzip.decompress(file.body), plain)

    def test_only_the_files_of_the_page_may_be_scripts(self):
        proxy = self.proxy(**ON)
        up = self.upstream(status(200, [("Content-Type", "text/javascript")], b"alert(1)"))
        self.assertEqual(proxy.ask("/page/app.js", SCRIPT).status, 200)
        self.assertEqual(proxy.ask("/page/style.css", {"Sec-Fetch-Dest": "style"}).status, 200)
        for target in (stream_path(up.url("/a.js")), "/api/proxy" + stream_path(up.url("/a.js"))):
            self.assert_error(proxy.ask(target, SCRIPT), 403, "script_forbidden")
        self.assertEqual(up.requests, [])

    def test_no_file_becomes_a_service_worker(self):
        proxy = self.proxy(**ON)
        for fields in ({"Service-Worker": "script"}, {"Sec-Fetch-Dest": "serviceworker"}):
            for path in ("/page/app.js", "/"):
                self.assert_error(proxy.ask(path, fields), 403, "script_forbidden")

    def test_no_upstream_takes_the_place_of_a_file(self):
        proxy = self.proxy(**ON)
        up = self.upstream(ok(b"foreign"))
        for path in ("/", "/page/app.js"):
            answer = proxy.ask(f"{path}?url={up.url('/x')}")
            self.assertEqual((answer.status, answer.body), (200, proxy.ask(path).body))
        self.assertEqual(up.requests, [])
        self.assert_error(proxy.ask("/page/other.js"), 404, "not_found")

    def table(self):
        text = self.proxy(**ON).ask("/page/strings.js").body.decode()
        return {
            key: [single or double for single, double in TEXT.findall(texts)]
            for key, texts in ENTRY.findall(text)
        }

    def test_every_text_is_there_in_both_languages(self):
        table = self.table()
        self.assertGreater(len(table), 120)
        for key, texts in table.items():
            self.assertEqual(len(texts), 2, key)
            english, chinese = texts
            self.assertTrue(english.isascii() or re.search("[…’]", english), key)
            if key not in NAMES:
                self.assertRegex(chinese, "[\u4e00-\u9fff]", key)
            places = [sorted(re.findall(r"\{\w+\}", text)) for text in texts]
            self.assertEqual(places[0], places[1], key)

    def test_every_text_that_the_page_names_is_in_the_table(self):
        proxy, table = self.proxy(**ON), self.table()
        page = proxy.ask("/").body.decode()
        named = set(re.findall(r'data-t(?:-[a-z-]+)?="(\w+)"', page))
        for name in ("app", "form", "report", "engines", "channels"):
            script = proxy.ask(f"/page/{name}.js").body.decode()
            named |= set(re.findall(r"\b(?:t|say|setStatus|note)\('(\w+)'", script))
            families = re.findall(r"`(\w+_)\$\{", script)
            self.assertLessEqual(set(families), set(FAMILIES) | {"link_"}, name)
        self.assertGreater(len(named), 50)
        self.assertEqual(named - set(table), set())

    def test_a_reload_enables_and_disables_the_page(self):
        proxy = self.own_proxy()
        self.assertEqual(proxy.ask("/").status, 404)
        proxy.reload(ON)
        proxy.wait_for_event("reload.done")
        self.assertEqual(proxy.ask("/").status, 200)


if __name__ == "__main__":
    main()
