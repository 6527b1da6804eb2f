"""The commands in the documents for operators work; files, presets and options in them exist."""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import unittest
from urllib.parse import quote

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "functional"))

from admin import ADMIN, admin_address  # noqa: E402
from harness import BINARY, ProxyTest, main, streamgate  # noqa: E402
from recipes import ROOT, blocks, read  # noqa: E402
from upstream import ok, playlist  # noqa: E402

MANUAL = "deploy/OPERATIONS.md"
DOCUMENTS = ["README.md", "README.zh-CN.md", MANUAL, "deploy/RECIPES.md", "DEBUGGING.md"]
SUBCOMMANDS = ["explain", "healthcheck", "sign"]
KINDS = {
    "cmake --workflow": "workflow",
    "cmake --build": "build",
    "cmake": "configure",
    "ctest": "test",
}
PATH = re.compile(r"(?<![\w/.-])(?:deploy|conf|tests|common|master|worker)/[\w./-]+")


def commands(path):
    """The lines of the shell blocks and of indented text, and the code inside the text."""
    text = read(path)
    shell = [block.text for block in blocks(path) if block.language == "sh"]
    fenced = [line for block in shell for line in block.splitlines()]
    indented = re.findall(r"^    (\S.*)$", text, re.M)
    return [*fenced, *indented, *re.findall(r"(?<!`)`([^`\n]+)`", text)]


class Operations(ProxyTest):
    settings = {"cache": {"memory": "64MiB"}, "admin": ADMIN}

    def lines(self, heading, word):
        """The commands below a heading, one a line."""
        found = [
            line
            for block in blocks(MANUAL)
            if (block.language, block.heading) == ("sh", heading)
            for line in block.text.splitlines()
            if line.startswith(word)
        ]
        self.assertTrue(found, heading)
        return found

    def run_line(self, line, replacements):
        for old, new in replacements.items():
            line = line.replace(old, new)
        return subprocess.run(
            ["bash", "-euc", line],
            env={**os.environ, "PATH": f"{os.path.dirname(BINARY)}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def channel(self):
        return self.upstream(
            {
                "/live/index.m3u8": playlist("#EXTM3U\n#EXTINF:4,\na.ts\n"),
                "/a.ts": ok((b"G" + bytes(187)) * 10, content_type="video/mp2t"),
            }
        )

    def test_explain(self):
        up, proxy = self.channel(), self.proxy()
        url = up.url("/live/index.m3u8")
        for line in self.lines("A stream does not play", "streamgate"):
            done = self.run_line(
                line,
                {
                    "-c /etc/streamgate/streamgate.yaml": f"-c {proxy.config_file}",
                    "-c FILE": f"-c {proxy.config_file}",
                    "https://upstream.example/live/index.m3u8": url,
                    "https://your.host": proxy.origin,
                    "url=…": f"url={quote(url, safe='')}",
                    "referer=…": "referer=http%3A%2F%2Fsite.example%2F",
                    " URL ": f" '{url}' ",
                },
            )
            with self.subTest(line):
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertIn("plays", done.stdout)
        self.assertIn("http://site.example/", [request["Referer"] for request in up.requests])
        self.assertIn("VLC/3.0", [request["User-Agent"] for request in up.requests])

    @unittest.skipUnless(shutil.which("curl"), "needs curl")
    def test_requests_to_the_admin_listener(self):
        up, proxy = self.channel(), self.proxy()
        replacements = {
            "http://127.0.0.1:9090": "http://%s:%d" % admin_address(proxy),
            "https://upstream.example": up.url(""),
            "curl ": "curl -sS --noproxy '*' ",
        }
        for line in self.lines("A stream does not play", "curl"):
            done = self.run_line(line, replacements)
            with self.subTest(line):
                self.assertEqual(json.loads(done.stdout)["verdict"], "plays", done.stdout)
        for line in self.lines("The cache", "curl"):
            done = self.run_line(line, replacements)
            with self.subTest(line):
                self.assertIn("purged", json.loads(done.stdout), done.stderr)


class Names(unittest.TestCase):
    def test_options_and_orders_of_the_program_exist(self):
        helps = [[], *[[subcommand] for subcommand in SUBCOMMANDS]]
        known = "".join(streamgate(*words, "--help").stdout for words in helps)
        options = set(re.findall(r"--[a-z][a-z-]*", known))
        (orders,) = re.findall(r"ORDER:\{([a-z,]+)\}", known)
        found = 0
        for path in DOCUMENTS:
            for line in commands(path):
                if not re.match(r"(\S*/)?streamgate ", line):
                    continue
                found += 1
                with self.subTest(f"{path}: {line}"):
                    self.assertLessEqual(set(re.findall(r"(?<=\s)--[a-z][a-z-]*", line)), options)
                    for order in re.findall(r" -s ([a-z]+)", line):
                        self.assertIn(order, orders.split(","))
        self.assertGreater(found, 10)

    def test_presets_exist(self):
        presets = json.loads(read("CMakePresets.json"))
        names = {
            kind: {preset["name"] for preset in presets[f"{kind}Presets"]}
            for kind in ("configure", "build", "test", "workflow")
        }
        found = 0
        for path in [*DOCUMENTS, "tests/README.md"]:
            for line in commands(path):
                for command, preset in re.findall(
                    r"(cmake --workflow|cmake --build|cmake|ctest) --preset (\w+)", line
                ):
                    found += 1
                    with self.subTest(f"{path}: {line}"):
                        self.assertIn(preset, names[KINDS[command]])
        self.assertGreater(found, 5)

    def test_files_exist(self):
        found = 0
        for path in [*DOCUMENTS, "tests/README.md"]:
            for line in commands(path):
                for name in PATH.findall(line):
                    found += 1
                    with self.subTest(f"{path}: {name}"):
                        # A module is named without the ends of its files.
                        files = glob.glob(os.path.join(ROOT, name.rstrip("./") + "*"))
                        self.assertTrue(files, name)
        self.assertGreater(found, 20)

    def test_the_documents_of_a_service_say_reload(self):
        """systemd has no hook before a stop: `restart` with a wrong file ends the service."""
        for path in (MANUAL, "deploy/streamgate.service", "deploy/streamgate.yaml"):
            with self.subTest(path):
                text = re.sub(r"\s*\n# ?|\s+", " ", read(path))
                self.assertIn("`systemctl reload streamgate`", text)
                self.assertRegex(text, r"(?i)never `?restart`?|`restart` cuts every stream")

    def test_scripts_of_the_package_never_restart(self):
        for name in ("postinst", "prerm", "postrm"):
            lines = read(f"deploy/debian/{name}").splitlines()
            code = [line.partition("#")[0] for line in lines]
            self.assertFalse([line for line in code if "restart" in line], name)


if __name__ == "__main__":
    main()
