"""Each command and configuration of deploy/RECIPES.md works; no link of the documents is broken."""

import glob
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("functional", "clients"):
    sys.path.insert(0, os.path.join(HERE, "..", folder))

import media  # noqa: E402
from certificates import Authority  # noqa: E402
from fronts import FrontTest  # noqa: E402
from harness import BINARY, closed_port, main, stream_path, streamgate, wait_until  # noqa: E402
from origin import Origin  # noqa: E402
from players import MEDIA  # noqa: E402
from recipes import ROOT, anchors, blocks, links, read, replaced  # noqa: E402
from upstream import ok, playlist, status  # noqa: E402

RECIPES = "deploy/RECIPES.md"
SECRET = "change-me: 32 random bytes at least"
SIGNERS = {"python": ["python3", "-"], "js": ["node", "-"], "php": ["php"]}
# What a command shows, by its heading. Only the exit status counts for the others.
SHOWN = {
    "Links": ["/stream?url="],
    "Headers that an upstream requires": ["#EXTM3U", "h_User-Agent=VLC%2F3.0.20"],
    "Spare URLs": ["#EXTM3U"],
    "IPTV lists and Kodi": ["#EXTM3U", "/stream"],
    "From the Rust proxy": ["#EXTM3U", "/api/proxy/stream?url="],
}
# Fronts that admit some clients only.
CLOSED = ("A login cookie", "Links of secure_link", "A secret in the path")
# A client sends these; no front may pass them on.
FORGED = [
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Forwarded-Port", "666"),
    ("Forwarded", "host=evil.example;proto=https"),
]


class Recipes(FrontTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp(prefix="streamgate-recipes-")
        os.symlink(os.path.join(MEDIA, "ts"), os.path.join(cls.folder, "ts"))
        os.mkdir(os.path.join(cls.folder, "lists"))
        cls.media = Origin(cls.folder, proof_needed=False)
        with open(os.path.join(cls.folder, "lists", "tv.m3u"), "w", encoding="utf-8") as file:
            file.write(f"#EXTM3U\n#EXTINF:-1,One\n{cls.media.base}/ts/index.m3u8\n")

    @classmethod
    def tearDownClass(cls):
        cls.media.stop()
        shutil.rmtree(cls.folder)
        super().tearDownClass()

    def addresses(self):
        return {
            "http://localhost:8080": self.proxy().origin,
            "https://cdn.example/live/index.m3u8": self.media.url("/ts/index.m3u8"),
            "https://cdn.example/live/channel.ts": self.media.url("/ts/seg-0.ts"),
            "https://cdn.example/lists/": self.media.url("/lists/"),
            "https://down.example": f"http://127.0.0.1:{closed_port()}",
        }

    def of(self, language):
        found = [block for block in blocks(RECIPES) if block.language == language]
        self.assertTrue(found)
        return found

    def test_each_block_is_run_by_a_test(self):
        known = {"sh", "yaml", "nginx", "haproxy", "caddy", "html", *SIGNERS}
        self.assertEqual([b for b in blocks(RECIPES) if b.language not in known], [])

    def test_commands(self):
        path = f"{os.path.dirname(BINARY)}:{os.environ['PATH']}"
        for block in self.of("sh"):
            if block.heading in ("Signed links", *CLOSED):
                continue
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", replaced(block.text, self.addresses())],
                cwd=self.folder,
                env={**os.environ, "PATH": path},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            with self.subTest(block):
                self.assertEqual(done.returncode, 0, done.stderr)
                for text in SHOWN.get(block.heading, []):
                    self.assertIn(text, done.stdout)

    def test_configurations(self):
        for block in self.of("yaml"):
            with self.subTest(block), tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(block.text)
                file.flush()
                done = streamgate("-c", file.name, "--check")
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_commands_and_configurations_of_the_readme(self):
        addresses = {
            **self.addresses(),
            "https://example.com/live/index.m3u8": self.media.url("/ts/index.m3u8"),
        }
        using = [b for b in blocks("README.md") if b.heading == "Using it"]
        lines = [line for block in using for line in replaced(block.text, addresses).splitlines()]
        self.assertEqual([line.split()[0] for line in lines], ["curl", "ffplay"])
        played = {"curl": "/ts/index.m3u8", "ffplay": "/ts/seg-1.ts"}
        environment = {**os.environ, "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}
        for line in lines:
            program = line.split()[0]
            with self.subTest(line):
                if shutil.which(program) is None:
                    self.skipTest(f"needs {program}")
                proxy = self.proxy()
                proxy.mark()
                done = subprocess.run(
                    ["bash", "-euc", line.replace("ffplay ", "ffplay -v error -autoexit -t 1 ")],
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                # The exit status of ffplay is always 0.
                self.assertEqual(done.returncode, 0, done.stderr)
                url = self.media.url(played[program])

                def was_asked(proxy=proxy, url=url):
                    return any(each.get("upstream") == url for each in proxy.access_log())

                wait_until(was_asked, what=url)
        folder = self.scratch()
        certificate, key = Authority(folder).issue_files("media.example")
        files = {
            "/etc/streamgate/fullchain.pem": certificate,
            "/etc/streamgate/privkey.pem": key,
        }
        examples = [b for b in blocks("README.md") if b.language == "yaml"]
        self.assertEqual(len(examples), 2)
        for block in examples:
            self.check_configuration(block, replaced(block.text, files))

    def check_configuration(self, block, text):
        with self.subTest(block), tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            done = streamgate("-c", file.name, "--check")
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def signed_link(self, command, block, proxy):
        addresses = {
            **self.addresses(),
            "http://localhost:8080": proxy.origin,
            "https://cdn.example/live/": self.media.url("/ts/"),
            "-c streamgate.yaml": f"-c {proxy.config_file}",
        }
        path = f"{os.path.dirname(BINARY)}:{os.environ['PATH']}"
        done = subprocess.run(
            command,
            input=replaced(block.text, addresses),
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def test_signed_links(self):
        keys = [{"id": "site", "algorithm": "HS256", "secret": SECRET}]
        proxy = self.own_proxy(
            {"security": {**self.settings["security"], "auth": "token", "keys": keys}}
        )
        runners = {**SIGNERS, "sh": ["bash", "-euo", "pipefail"]}
        found = [
            b for b in blocks(RECIPES) if b.heading == "Signed links" and b.language in runners
        ]
        self.assertEqual([b.language for b in found], ["sh", "sh", "python", "js", "php"])
        for block in found:
            command = runners[block.language]
            if shutil.which(command[0]) is None:
                continue  # tests/run.sh installs them all
            with self.subTest(block):
                link = self.signed_link(command, block, proxy).removeprefix(proxy.origin)
                self.assertEqual(proxy.ask(link).status, 200)
                unsigned = proxy.ask(link.partition("&sg_token=")[0])
                self.assertEqual(unsigned.status, 401)

    def check_front(self, port, prefix=""):
        """A playlist through the front, and the first segment of it, also through the front."""
        url = replaced("https%3A%2F%2Fcdn.example%2Flive%2Findex.m3u8", self.addresses())
        playlist = self.ask_front(port, f"{prefix}/stream?url={url}")
        self.assertEqual(playlist.status, 200, playlist.text)
        segment = next(line for line in playlist.text.splitlines() if line.startswith("http"))
        base = f"http://127.0.0.1:{port}"
        self.assertTrue(segment.startswith(f"{base}{prefix}/stream?url="), segment)
        answer = self.ask_front(port, segment.removeprefix(base))
        self.assertEqual((answer.status, answer.body[:1]), (200, b"G"))
        forged = self.ask_front(port, f"{prefix}/stream?url={url}", FORGED)
        self.assertEqual(forged.text, playlist.text)

    def check_path_links(self, port, prefix):
        """Links of the path form arrive byte for byte."""
        up = self.upstream(ok(b"x"))
        paths = ["//a//b/", "/a%2Fb%20/;p=1/%E4?x=%20//&y", "/a/../b", "/$Number%05d$.m4s"]
        for path in paths:
            link = f"{prefix}/at/-/{up.url(path).replace('://', '/')}"
            self.assertEqual(self.ask_front(port, link).status, 200, link)
        self.assertEqual(up.targets(), paths)

    @unittest.skipUnless(shutil.which("nginx", path="/usr/sbin:/usr/bin"), "needs nginx")
    def test_nginx(self):
        for block in self.of("nginx"):
            if block.heading in CLOSED:
                continue
            with self.subTest(block):
                port, cwd = closed_port(), self.scratch()
                text = block.text.replace("listen 80;", f"listen 127.0.0.1:{port};")
                for address in ("127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8082"):
                    text = text.replace(address, f"127.0.0.1:{self.proxy().port}")
                if "/tv/" in text:  # for the question whether the front is ready
                    text = text.replace("server {", "server { location = /health { return 200; }")
                self.nginx(text, port, cwd)
                prefix = "/tv" if "/tv/" in text else ""
                self.check_front(port, prefix)
                if "merge_slashes" in text:
                    self.check_path_links(port, prefix)
                if "MediaFlow" in block.heading:
                    self.check_old_links(port)

    @unittest.skipUnless(shutil.which("nginx", path="/usr/sbin:/usr/bin"), "needs nginx")
    def test_nginx_of_the_compose_file(self):
        port, cwd = closed_port(), self.scratch()
        text = read("deploy/container/nginx.conf")
        text = text.replace("server streamgate:8080;", f"server 127.0.0.1:{self.proxy().port};")
        text = text.replace("listen 8000;", f"listen 127.0.0.1:{port};")
        self.nginx(text, port, cwd)
        self.check_front(port)

    def check_old_links(self, port):
        url = replaced("https%3A%2F%2Fcdn.example%2Flive%2Findex.m3u8", self.addresses())
        for query in (
            f"d={url}&h_referer=https%3A%2F%2Fsite.example%2F",
            f"api_password=secret&d={url}&h_referer=https%3A%2F%2Fsite.example%2F",
            f"h_referer=https%3A%2F%2Fsite.example%2F&d={url}&api_password=secret",
        ):
            answer = self.ask_front(port, f"/proxy/hls/manifest.m3u8?{query}")
            self.assertEqual(answer.status, 200, answer.text)
            self.assertIn("&h_referer=https%3A%2F%2Fsite.example%2F", answer.text)
            self.assertNotIn("secret", answer.text)

    @unittest.skipUnless(shutil.which("haproxy", path="/usr/sbin:/usr/bin"), "needs HAProxy")
    def test_haproxy(self):
        for block in self.of("haproxy"):
            with self.subTest(block):
                port, cwd = closed_port(), self.scratch()
                text = block.text.replace("bind :80", f"bind 127.0.0.1:{port}")
                for address in ("127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8082"):
                    text = text.replace(address, f"127.0.0.1:{self.proxy().port}")
                self.front("/usr/sbin/haproxy", ["-db", "-f"], port, text, cwd)
                self.check_front(port)

    @unittest.skipUnless(shutil.which("caddy"), "needs Caddy")
    def test_caddy(self):
        for block in self.of("caddy"):
            with self.subTest(block):
                port, cwd = closed_port(), self.scratch()
                text = block.text.replace("media.example.com", f"http://127.0.0.1:{port}")
                text = text.replace("127.0.0.1:8080", f"127.0.0.1:{self.proxy().port}")
                text = f"{{\n admin off\n}}\n{text}"
                self.front("caddy", ["run", "--adapter", "caddyfile", "--config"], port, text, cwd)
                self.check_front(port)

    def closed_front(self, heading, addresses, proxy, folder=None):
        """nginx with the block below that heading; returns its port."""
        (block,) = [b for b in self.of("nginx") if b.heading == heading]
        port, cwd = closed_port(), folder or self.scratch()
        text = block.text.replace("listen 80;", f"listen 127.0.0.1:{port};")
        # For the question whether the front is ready.
        text = text.replace("server {", "server { location = /health { return 200; }")
        for old, new in {"127.0.0.1:8080": f"127.0.0.1:{proxy.port}", **addresses}.items():
            text = text.replace(old, new)
        self.nginx(text, port, cwd)
        return port

    def list_upstream(self):
        """An upstream with a playlist of one segment."""
        return self.upstream(
            {"/live/index.m3u8": playlist("#EXTM3U\n#EXTINF:4,\na.ts\n"), "/live/a.ts": ok(b"G")}
        )

    @staticmethod
    def segment_of(answer):
        """The path and query of the segment's link."""
        link = next(line for line in answer.text.splitlines() if line.startswith("http"))
        return "/" + link.split("/", 3)[3]

    @unittest.skipUnless(shutil.which("nginx", path="/usr/sbin:/usr/bin"), "needs nginx")
    def test_a_login_cookie_admits_the_playlist_and_its_segments(self):
        def admits(request):
            return ok(b"") if request["Cookie"] == "session=alice" else status(401)

        site, up = self.upstream(admits), self.list_upstream()
        sites = {"127.0.0.1:9000": "127.0.0.1:%d" % site.port}
        port = self.closed_front("A login cookie", sites, self.proxy())
        cookie = [("Cookie", "session=alice")]
        entry = stream_path(up.url("/live/index.m3u8"))
        self.assertEqual(self.ask_front(port, entry).status, 401)
        answer = self.ask_front(port, entry, cookie)
        segment = self.segment_of(answer)
        self.assertEqual(self.ask_front(port, segment, cookie).body, b"G")
        self.assertEqual(self.ask_front(port, segment).status, 401)
        self.assertEqual([request["Cookie"] for request in up.requests], [None, None])
        self.assertEqual(site.requests[-1]["X-Original-URI"], segment)

    @unittest.skipUnless(shutil.which("nginx", path="/usr/sbin:/usr/bin"), "needs nginx")
    def test_a_link_of_secure_link_leads_to_segments_with_grants(self):
        up, folder = self.list_upstream(), self.scratch()
        (block,) = [b for b in self.of("sh") if b.heading == "Links of secure_link"]
        addresses = {"https://cdn.example/live/index.m3u8": up.url("/live/index.m3u8")}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", replaced(block.text, addresses)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        entry = done.stdout.strip().removeprefix("http://media.example.com")
        keys = [{"id": "site", "algorithm": "HS256", "secret": SECRET}]
        proxy = self.own_proxy(
            {"security": {**self.settings["security"], "auth": "token", "keys": keys}}
        )
        port = self.closed_front("Links of secure_link", {}, proxy, folder)
        answer = self.ask_front(port, entry)
        self.assertEqual(answer.status, 200, answer.text)
        segment = self.segment_of(answer)
        self.assertEqual(self.ask_front(port, segment).body, b"G")
        self.assertEqual(up.targets(), ["/live/index.m3u8", "/live/a.ts"])
        self.assertEqual([request["Authorization"] for request in up.requests], [None, None])
        self.assertEqual(self.ask_front(port, segment.split("&sg_grant=")[0]).status, 401)
        self.assertEqual(self.ask_front(port, entry.replace("index", "other")).status, 403)
        self.assertEqual(self.ask_front(port, entry.split("&md5=")[0]).status, 403)
        self.assertEqual(self.ask_front(port, entry.replace("/play?", "/stream?")).status, 401)

    @unittest.skipUnless(shutil.which("nginx", path="/usr/sbin:/usr/bin"), "needs nginx")
    def test_a_secret_in_the_path_is_in_each_link(self):
        port = self.closed_front("A secret in the path", {}, self.proxy())
        self.check_front(port, "/u/alice-7d1f0c9e")
        self.assertEqual(self.ask_front(port, "/u/mallory/stream?url=http%3A%2F%2Fa").status, 403)
        self.assertEqual(self.ask_front(port, "/stream?url=http%3A%2F%2Fa").status, 404)


class Translation(unittest.TestCase):
    def test_the_chinese_readme_has_the_commands_of_the_english_one(self):
        english = [block.text for block in blocks("README.md")]
        chinese = [block.text for block in blocks("README.zh-CN.md")]
        self.assertGreaterEqual(len(chinese), 4)
        self.assertEqual([text for text in chinese if text not in english], [])


class Links(unittest.TestCase):
    def test_links_of_documents_lead_to_files_and_headings(self):
        names = [
            os.path.relpath(path, ROOT)
            for pattern in ("*.md", "*/*.md", ".github/*.md")
            for path in glob.glob(os.path.join(ROOT, pattern))
            if not path.startswith(os.path.join(ROOT, "build"))
        ]
        self.assertIn("README.md", names)
        for name in names:
            for link in links(name):
                with self.subTest(f"{name}: {link}"):
                    file, _, anchor = link.partition("#")
                    path = os.path.join(os.path.dirname(name), file)
                    target = os.path.normpath(path) if file else name
                    self.assertTrue(os.path.exists(os.path.join(ROOT, target)), target)
                    if anchor:
                        self.assertIn(anchor, anchors(target))


if __name__ == "__main__":
    media.make(MEDIA)
    main()
