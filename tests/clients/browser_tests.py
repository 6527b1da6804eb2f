"""The tests of test_chromium.py and test_firefox.py: the browser runs nothing of an upstream in the
proxy's origin, and still plays its media."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from urllib.parse import quote

from media import ffmpeg, tone
from players import BUILD, HERE, INSTALLED, MEDIA, install_players
from upstream import status

SAMPLES = os.path.join(BUILD, "samples")

# Each is loaded as a page, an iframe, a script, a worker and so on.
TYPES = [
    "text/html",
    "TEXT/HTML; charset=utf-8",
    "text/plain, text/html",
    "text/html, text/html",
    "text/html x",
    "text/html(x)",
    "application/xhtml+xml",
    "application/vnd.wap.xhtml+xml",
    "text/xml",
    "application/xml",
    "application/rdf+xml",
    "application/rss+xml",
    "application/mathml+xml",
    "image/svg+xml",
    "text/xsl",
    "application/xslt+xml",
    "text/css",
    "text/javascript",
    "application/javascript",
    "application/x-javascript",
    "application/ecmascript",
    "application/x-ecmascript",
    "text/ecmascript",
    "text/x-ecmascript",
    "text/x-javascript",
    "text/jscript",
    "text/livescript",
    "text/javascript1.0",
    "text/javascript1.1",
    "text/javascript1.2",
    "text/javascript1.3",
    "text/javascript1.4",
    "text/javascript1.5",
    "text/plain, text/javascript",
    "application/json",
    "text/plain",
    "application/octet-stream",
    "unknown/unknown",
    "multipart/x-mixed-replace; boundary=x",
    "message/rfc822",
    "*/*",
    "x",
    None,
]
XML = re.compile(r"xml|xsl", re.IGNORECASE)
XHTML = '<html xmlns="http://www.w3.org/1999/xhtml"><head><script>%s</script></head></html>'
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>%s</script></svg>'
TRANSFORMED = '<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="%s"?><a/>'
TRANSFORM = (
    '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
    '<xsl:template match="/"><html><head><script>%s</script></head></html></xsl:template>'
    "</xsl:stylesheet>"
)
SOUND = [*tone(440, 2), "-ac", "1"]
PICTURE = ["-f", "lavfi", "-i", "testsrc=size=64x64:rate=10:duration=1"]
STILL = [*PICTURE, "-frames:v", "1"]
MADE = {
    "sound.mp3": SOUND,
    "sound.flac": SOUND,
    "sound.wav": SOUND,
    "sound.aac": SOUND,
    "sound.ogg": [*SOUND, "-c:a", "libopus"],
    "picture.webm": [*PICTURE, "-c:v", "libvpx", "-deadline", "realtime"],
    "picture.mkv": [*PICTURE, "-c:v", "libvpx", "-deadline", "realtime"],
    "still.jpg": STILL,
    "still.png": STILL,
    "still.gif": STILL,
    "still.webp": STILL,
}


def make_samples():
    os.makedirs(SAMPLES, exist_ok=True)
    for name, arguments in MADE.items():
        if not os.path.exists(os.path.join(SAMPLES, name)):
            ffmpeg(*arguments, "new." + name, folder=SAMPLES)
            os.rename(os.path.join(SAMPLES, "new." + name), os.path.join(SAMPLES, name))
    shutil.copy(os.path.join(MEDIA, "movie.mp4"), SAMPLES)
    shutil.copy(os.path.join(MEDIA, "fmp4", "text", "0.vtt"), os.path.join(SAMPLES, "text.vtt"))


def read_sample(name):
    with open(os.path.join(SAMPLES, name), "rb") as file:
        return file.read()


class BrowserTests:
    """The tests of `browser`, whose program is `program`."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        install_players()
        make_samples()

    def setUp(self):
        self.up = self.upstream(self.answer)

    # The upstream. /doc/N and /js/N: a page and a script of TYPES[N] that report where they run.
    # /as/TYPE/NAME: a sample, declared as TYPE.
    def answer(self, request):
        kind, _, rest = request.path[1:].partition("/")
        if kind in ("doc", "js", "direct"):
            number = int(rest.rpartition("/")[2])
            code = self.code(request.path)
            body = self.page(TYPES[number], code) if "doc" in request.path else code
            return self.typed(TYPES[number], body.encode())
        if kind == "transformed":
            transform = "/stream?url=" + quote(self.up.url("/transform"), safe="")
            return self.typed("text/xml", (TRANSFORMED % transform).encode())
        if kind == "transform":
            return self.typed("text/xsl", (TRANSFORM % self.code(request.path)).encode())
        if kind == "as":
            content_type, _, name = rest.partition("/")
            content_type = {"none": None}.get(content_type, content_type.replace("+", "/"))
            return self.sample(request, content_type, read_sample(name.removesuffix("-unnamed")))
        if kind == "download":
            fields = [("Content-Disposition", 'attachment; filename="kept.html"')]
            return self.typed("text/html", b"<p>kept</p>", fields)
        if kind == "site":
            return self.typed("text/html", b'<!doctype html><link rel=icon href="data:,">')
        return status(204 if kind == "ran" else 404)

    def code(self, path):
        report = f"{self.up.origin}/ran{path}/"
        return (
            f'fetch("{report}"+globalThis.constructor.name,{{mode:"no-cors"}});'
            'try{document.title="ran";parent.postMessage("ran","*")}catch(e){}'
        )

    @staticmethod
    def page(content_type, code):
        if content_type and "svg" in content_type:
            return SVG % code
        if content_type and XML.search(content_type):
            return XHTML % code
        html = f"<!doctype html><script>{code}</script>"
        if content_type and "mixed" in content_type:
            return f"--x\r\nContent-Type: text/html\r\n\r\n{html}\r\n--x--\r\n"
        return html

    @staticmethod
    def typed(content_type, body, fields=()):
        types = [("Content-Type", content_type)] if content_type else []
        return status(200, [*types, *fields], body)

    @staticmethod
    def sample(request, content_type, body):
        types = [("Content-Type", content_type)] if content_type else []
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request["Range"] or "")
        if not asked:
            return status(200, [*types, ("Accept-Ranges", "bytes")], body)
        first, last = int(asked[1]), min(int(asked[2] or len(body)), len(body) - 1)
        span = ("Content-Range", f"bytes {first}-{last}/{len(body)}")
        return status(206, [*types, span], body[first : last + 1])

    def browse(self, order):
        self.last_proxy = self.proxy()
        port = self.last_proxy.port
        order = {
            **order,
            "upstream": self.up.origin,
            "proxy": self.last_proxy.origin,
            # Not a secure context: browsers send no Sec-Fetch-Dest there.
            "insecure": f"http://proxy.test:{port}",
        }
        program = shutil.which(self.program) or self.program
        with tempfile.TemporaryDirectory(
            prefix="streamgate-browser-", ignore_cleanup_errors=True
        ) as folder:
            script = os.path.join(HERE, "browser.mjs")
            done = subprocess.run(
                ["node", script, self.browser, program, folder, json.dumps(order)],
                cwd=INSTALLED,
                env={**os.environ, "HOME": folder},
                capture_output=True,
                text=True,
                timeout=280,
                check=False,
            )
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def reports(self):
        return {r.path.removeprefix("/ran") for r in self.up.requests if r.path.startswith("/ran/")}

    def test_nothing_of_an_upstream_runs_in_the_origin_of_the_proxy(self):
        docs = [f"/doc/{i}" for i in range(len(TYPES))] + ["/transformed"]
        scripts = [f"/js/{i}" for i in range(len(TYPES))]
        html, javascript = TYPES.index("text/html"), TYPES.index("text/javascript")
        report = self.browse(
            {
                "attack": {"docs": docs, "scripts": scripts},
                "control": {
                    "docs": [f"/direct/doc/{html}"],
                    "scripts": [f"/direct/js/{javascript}"],
                },
            }
        )
        # The same attempts succeed in the origin of the upstream.
        scopes = ("Window", "DedicatedWorkerGlobalScope", "SharedWorkerGlobalScope")
        wanted = {f"/direct/doc/{html}/Window"}
        wanted |= {
            f"/direct/js/{javascript}/{scope}" for scope in (*scopes, "ServiceWorkerGlobalScope")
        }
        self.assertLessEqual(wanted, self.reports())
        self.assertEqual(report["control"]["workers"], 1, report)
        self.assertIn("ran", report["control"]["titles"])
        for name in ("proxy", "insecure"):
            self.assertEqual(report[name]["workers"], 0, report)
            self.assertEqual(report[name]["messages"], [], report)
            self.assertEqual([t for t in report[name]["titles"] if t == "ran"], [], report)
        self.assertEqual({r for r in self.reports() if not r.startswith("/direct/")}, set())
        reached = {r.path for r in self.up.requests}
        self.assertLessEqual(set(docs), reached)
        self.assertLessEqual(set(scripts), reached)  # without Sec-Fetch-Dest the type protects
        reasons = [entry["reason"] for entry in self.last_proxy.access_log()]
        self.assertIn("script_forbidden", reasons)

    def test_media_pictures_subtitles_and_downloads_still_work(self):
        names = sorted([*MADE, "movie.mp4"])
        types = ["text+plain", "text+html", "none", "application+octet-stream"]
        media = [f"/as/{t}/{name}" for t in types for name in names]
        seeks = [
            f"/as/{t}/movie.mp4{suffix}"
            for t in ("text+html", "application+octet-stream")
            for suffix in ("", "-unnamed")
        ]
        shown = ["/as/video+mp4/movie.mp4", "/as/image+png/still.png", "/as/audio+mpeg/sound.mp3"]
        report = self.browse(
            {"media": media, "seeks": seeks, "shown": shown, "track": "/as/text+plain/text.vtt"}
        )
        self.assertEqual({p: "works" for p in media}, report["media"])
        self.assertEqual({p: "works" for p in seeks}, report["seeks"])
        self.assertEqual({p: "works" for p in seeks}, report["insecureSeeks"])
        self.assertEqual({p: "works" for p in shown}, report["shown"])
        self.assertEqual(report["cues"], ["line 0"])
        self.assertEqual(report["download"], {"name": "kept.html", "text": "<p>kept</p>"})
