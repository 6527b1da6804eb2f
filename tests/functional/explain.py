"""Runs `streamgate explain` on an upstream of a test."""

import json
import os
import pwd
import tempfile

from harness import ProxyTest, streamgate, yaml

PLAYS, UPSTREAM, REFUSED, USAGE = 0, 1, 2, 64

TS = (b"\x47" + b"\xff" * 187) * 40
LIVE = """#EXTM3U
#EXT-X-TARGETDURATION:6
#EXT-X-KEY:METHOD=AES-128,URI="key.bin"
#EXTINF:6,
a.ts
#EXTINF:6,
b.ts
"""


class Explain(ProxyTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.TemporaryDirectory(prefix="streamgate-explain-")
        os.chmod(cls.folder.name, 0o755)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()

    def config(self, **settings):
        """A configuration file; loopback is open unless `security` says otherwise."""
        base = {
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "security": {"allow_private": ["loopback"]},
        }
        path = os.path.join(self.folder.name, "explain.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(yaml({**base, **settings}))
        return path

    def explain(self, url, *arguments, verdict, settings=None, environment=None):
        """The report as JSON. The text has the same summary and exit status, and no secret."""
        line = ["explain", url, "-c", self.config(**(settings or {})), *arguments]
        text = streamgate(*line, environment=environment)
        done = streamgate(*line, "--json", environment=environment)
        self.assertEqual((done.returncode, text.returncode), (verdict, verdict), done.stdout)
        report = json.loads(done.stdout)
        self.assertIn(report["summary"], text.stdout)
        for output in (done.stdout, text.stdout):
            self.assertNotIn("SECRET", output)
            self.assertNotIn("\x1b", output)
        names = {PLAYS: "plays", UPSTREAM: "upstream_problem", REFUSED: "refused"}
        self.assertEqual(report["verdict"], names[verdict])
        return report
