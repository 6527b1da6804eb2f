"""The origin behind the proxy: serves a folder with byte ranges, and a live window over one of its
playlists.

A request that came through the proxy has the field `X-Proxy-Proof`: the first URL has it as an `h_`
parameter, and the proxy passes it on to every child. Any other request gets a 403 and is kept in
`strays`.

`/typed/TYPE/PATH` is PATH, with all that is no playlist declared as TYPE (percent-encoded; empty:
none).

By hand (without proof): `origin.py FOLDER` prints its URL and serves until it is stopped.
"""

import mimetypes
import os
import re
import secrets
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote

TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".ts": "video/mp2t",
    ".m4s": "video/iso.segment",
    ".vtt": "text/vtt",
    ".mp4": "video/mp4",
    ".bin": "application/octet-stream",
    ".js": "text/javascript",
    ".html": "text/html",
}


class Origin:
    def __init__(self, root, proof_needed=True, padding=b"", cors=False):
        self.root = root
        self.cors = cors  # pages of other origins may read all answers
        self.padding = padding  # behind the first line of every playlist
        self.proof = secrets.token_hex(8) if proof_needed else None
        self.requests = []  # (path, range, status)
        self.targets = []  # with their queries
        self.strays = []
        self._live_since = None
        self._lock = threading.Lock()
        origin = self

        class Handler(_Handler):
            pass

        Handler.origin = origin
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # Not an error: a player that seeks closes inside a body, and then the proxy does.
        self._server.handle_error = lambda *_: None
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path):
        return self.base + path

    def paths(self):
        return [path for path, _, _ in self.requests]

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def live_playlist(self, window=3):
        """A live form of the ts/ playlist: a segment every two seconds, then EXT-X-ENDLIST."""
        segments = self.segments()
        with self._lock:
            self._live_since = self._live_since or time.monotonic()
            known = min(window + int((time.monotonic() - self._live_since) / 2), len(segments) + 1)
        first = max(0, min(known, len(segments)) - window)
        text = (
            f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
        )
        text += "".join(segments[first:known])
        return text + ("#EXT-X-ENDLIST\n" if known > len(segments) else "")

    def segments(self):
        """The segments of ts/, each with its tag, seen from a folder beside it."""
        with open(os.path.join(self.root, "ts", "index.m3u8"), encoding="utf-8") as file:
            found = re.findall(r"#EXTINF:[^\n]*\n[^\n]+\n", file.read())
        return [segment.replace("seg-", "../ts/seg-") for segment in found]

    def low_latency_playlist(self, query):
        """A live form of ts/ with a part for each segment: one more every second, from three on. A
        request for a later one is held."""
        segments = self.segments()
        with self._lock:
            self._live_since = self._live_since or time.monotonic()
        wanted = int((parse_qs(query).get("_HLS_msn") or ["0"])[0])
        ready = self._live_since + wanted - 2
        time.sleep(max(0.0, min(ready - time.monotonic(), 5.0)))
        known = min(3 + int(time.monotonic() - self._live_since), len(segments) + 1)
        text = (
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART-INF:PART-TARGET=2\n"
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=6\n#EXT-X-MEDIA-SEQUENCE:0\n"
        )
        for segment in segments[:known]:
            uri = segment.split("\n")[1]
            text += f'#EXT-X-PART:DURATION=2,INDEPENDENT=YES,URI="{uri}"\n{segment}'
        if known > len(segments):
            return text + "#EXT-X-ENDLIST\n"
        return text + f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="../ts/seg-{known}.ts"\n'

    def variable_playlist(self, path):
        """A multivariant playlist with variables, and the two segments of its playlist."""
        if path == "/define/master.m3u8":
            return (
                f'#EXTM3U\n#EXT-X-DEFINE:NAME="base",VALUE="{self.base}"\n'
                '#EXT-X-DEFINE:QUERYPARAM="token"\n#EXT-X-STREAM-INF:BANDWIDTH=400000\n'
                "{$base}/define/index.m3u8?t={$token}\n"
            )
        text = (
            '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-DEFINE:IMPORT="base"\n'
            '#EXT-X-DEFINE:IMPORT="token"\n#EXT-X-DEFINE:QUERYPARAM="t"\n'
        )
        for segment in self.segments()[:2]:
            text += segment.replace("../ts", "{$base}/ts").rstrip() + "?{$token}-{$t}\n"
        return text + "#EXT-X-ENDLIST\n"

    def read(self, path, query=""):
        """The bytes at a path and their type, or None."""
        if path == "/live/index.m3u8":
            return self.live_playlist().encode(), TYPES[".m3u8"]
        declared = re.fullmatch(r"/typed/([^/]*)(/.*)", path)
        if declared:
            found = self.read(declared[2])
            is_playlist = path.endswith(".m3u8")
            return found and (found[0], found[1] if is_playlist else unquote(declared[1]))
        if path == "/low-latency/index.m3u8":
            return self.low_latency_playlist(query).encode(), TYPES[".m3u8"]
        if path in ("/define/master.m3u8", "/define/index.m3u8"):
            return self.variable_playlist(path).encode(), TYPES[".m3u8"]
        full = os.path.normpath(os.path.join(self.root, path.lstrip("/")))
        if not full.startswith(self.root) or not os.path.isfile(full):
            return None
        extension = os.path.splitext(full)[1]
        with open(full, "rb") as file:
            body = file.read()
            if extension == ".m3u8":
                body = body.replace(b"\n", b"\n" + self.padding, 1)
            return (
                body,
                TYPES.get(extension) or mimetypes.guess_type(full)[0] or "application/octet-stream",
            )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    origin: Origin

    def do_GET(self):
        path, asked = self.path.partition("?")[0], self.headers.get("Range")
        if self.origin.proof and self.headers.get("X-Proxy-Proof") != self.origin.proof:
            self.origin.strays.append((self.client_address, self.requestline, str(self.headers)))
            return self.answer(path, 403, b"", "text/plain")
        found = self.origin.read(path, self.path.partition("?")[2])
        if found is None:
            return self.answer(path, 404, b"", "text/plain")
        body, content_type = found
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
        if not match:
            return self.answer(path, 200, body, content_type)
        first, last = int(match[1]), min(int(match[2] or len(body)), len(body) - 1)
        if first >= len(body):
            return self.answer(path, 416, b"", content_type, f"bytes */{len(body)}")
        return self.answer(
            path, 206, body[first : last + 1], content_type, f"bytes {first}-{last}/{len(body)}"
        )

    do_HEAD = do_GET

    def answer(self, path, status, body, content_type, content_range=None):
        self.origin.requests.append((path, self.headers.get("Range"), status))
        self.origin.targets.append(self.path)
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        if self.origin.cors:
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Access-Control-Expose-Headers", "*")
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        if self.command != "HEAD":
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True  # a player that seeks closes inside a body

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    print(Origin(os.path.abspath(sys.argv[1]), proof_needed=False).base, flush=True)
    threading.Event().wait()
