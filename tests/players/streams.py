"""The streams that every player of tests/players plays, and the origin that serves them. Live
streams grow from their first request on."""

import os
import platform
import re
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "clients"))

import documents  # noqa: E402
import media  # noqa: E402
from mp4_fragments import split  # noqa: E402
from origin import TYPES, Origin  # noqa: E402
from players import install_players  # noqa: E402

DONE = "complete-2"  # change the number with the streams
LONG = 30  # seconds of the live streams
RATE = 24
KEY_ID, KEY = "00112233445566778899aabbccddeeff", "0123456789abcdef0123456789abcdef"

HLS, MPD = TYPES[".m3u8"], TYPES[".mpd"]


def video(size, keyframes, seconds=LONG):
    """Test video with a key frame every `keyframes` frames."""
    return [
        *("-f", "lavfi", "-i", f"testsrc=size={size}:rate={RATE}:duration={seconds}"),
        *media.tone(440, seconds),
        *media.VIDEO,
        *("-g", str(keyframes), "-keyint_min", str(keyframes)),
        *media.AUDIO,
    ]


def make_byte_ranges(root):
    """ranges/ and ranges-fmp4/: all segments in one file."""
    fmp4 = ["-hls_segment_type", "fmp4", "-bsf:a", "aac_adtstoasc"]
    for name, options in (("ranges", []), ("ranges-fmp4", fmp4)):
        media.ffmpeg(
            *("-i", os.path.join(root, "ts", "index.m3u8"), "-c", "copy"),
            *media.hls("-hls_flags", "single_file", *options),
            "index.m3u8",
            folder=media.subfolder(root, name),
        )


def make_fragments(root, name, size, keyframes):
    """`name`/: init.mp4, and fragments (0.m4s ..) that begin with a key frame."""
    folder = media.subfolder(root, name)
    media.ffmpeg(
        *video(size, keyframes),
        *("-movflags", "+frag_keyframe+empty_moov+default_base_moof", "all.mp4"),
        folder=folder,
    )
    split(os.path.join(folder, "all.mp4"), folder)


def make_dash(root):
    """dash/ (SegmentTemplate), dash-single/ (one file for each representation)."""
    for name, options in (("dash", []), ("dash-single", ["-single_file", "1"])):
        media.ffmpeg(
            *video("320x180", 2 * RATE),
            *("-f", "dash", "-seg_duration", "2", "-use_template", "1", "-use_timeline", "0"),
            *options,
            "manifest.mpd",
            folder=media.subfolder(root, name),
        )


def make_clear_key(root):
    """clear/: DASH with CENC. ffmpeg 5.1 encrypts no fragments, so shaka-packager does."""
    tools = os.path.join(os.path.dirname(root), "stream-tools")
    install_players(HERE, tools)
    folder = media.subfolder(root, "clear")
    media.ffmpeg(*video("320x180", 2 * RATE), "plain.mp4", folder=folder)
    kind = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
    subprocess.run(
        [
            os.path.join(tools, "node_modules", "shaka-packager", "bin", f"packager-linux-{kind}"),
            *(
                f"in=plain.mp4,stream={name},init_segment={name}/init.mp4,"
                f"segment_template={name}/$Number$.m4s"
                for name in ("video", "audio")
            ),
            *("--enable_raw_key_encryption", "--keys", f"key_id={KEY_ID}:key={KEY}"),
            *("--protection_scheme", "cenc", "--clear_lead", "0", "--segment_duration", "2"),
            *("--mpd_output", "manifest.mpd", "--generate_static_live_mpd"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    # dash.js finds ClearKey by this scheme, without a pssh.
    path = os.path.join(folder, "manifest.mpd")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    of_packager = r'<ContentProtection schemeIdUri="urn:uuid:1077efec.*?</ContentProtection>'
    media.write(path, re.sub(of_packager, documents.CLEAR_KEY, text, flags=re.DOTALL))


def make_images(root):
    """thumbs/: JPEG tiles of 2x5 pictures, one second each, and their tracks."""
    folder = media.subfolder(root, "thumbs")
    source = f"testsrc=size=160x90:rate=1:duration={media.SECONDS}"
    media.ffmpeg("-f", "lavfi", "-i", source, "-vf", "tile=2x5", "-frames:v", "1", "tile-1.jpg",
                 folder=folder)
    media.write(os.path.join(folder, "thumbs.vtt"), documents.thumbnail_track(media.SECONDS))
    media.write(os.path.join(folder, "tiles.m3u8"), documents.IMAGE_PLAYLIST)
    media.write(os.path.join(folder, "master.m3u8"), documents.IMAGE_MASTER)


def make(root):
    """Makes the streams in `root`; those of clients/media.py stand in `root`/../media."""
    plain = os.path.join(os.path.dirname(root), "media")
    media.make(plain)
    if os.path.exists(os.path.join(root, DONE)):
        return
    os.makedirs(root, exist_ok=True)
    for name in ("ts", "aes", "fmp4", "movie.mp4"):
        if not os.path.lexists(os.path.join(root, name)):
            os.symlink(os.path.join("..", "media", name), os.path.join(root, name))
    make_clear_key(root)
    make_byte_ranges(root)
    make_fragments(root, "parts-180", "320x180", RATE // 2)
    make_fragments(root, "parts-270", "480x270", RATE // 2)
    make_dash(root)
    make_images(root)
    media.ffmpeg(*video("320x180", 2 * RATE), *media.hls("-hls_segment_filename", "%d.ts"),
                 "index.m3u8", folder=media.subfolder(root, "long"))
    media.write(os.path.join(root, DONE), "")


class StreamOrigin(Origin):
    """Serves the streams; `aliases` are further names of folders. Each live stream begins with
    `begun` seconds."""

    aliases = {"spot": "ts", "steer": "long", "dash-a": "dash", "dash-b": "dash"}
    begun = 6

    def __init__(self, root, **options):
        self._begin = {}
        self._begin_lock = threading.Lock()
        super().__init__(root, cors=True, **options)

    def age(self, name):
        """Seconds of the live stream that are there."""
        with self._begin_lock:
            begin = self._begin.setdefault(name, time.monotonic() - self.begun)
        return min(time.monotonic() - begin, float(LONG))

    def time_of_begin(self, name):
        """The time of day in seconds when the live stream began."""
        with self._begin_lock:
            return time.time() - (time.monotonic() - self._begin[name])

    def wait_for(self, name, seconds):
        while self.age(name) < min(seconds, LONG):
            time.sleep(0.02)

    def since(self, name):
        """The time of day when the live stream began."""
        return datetime.now(timezone.utc) - timedelta(seconds=self.age(name))

    def read(self, path, query=""):
        found = self.read_live(path, query)
        if found:
            body, kind = found
            return body.replace("{base}", self.base).encode(), kind
        first, _, rest = path.lstrip("/").partition("/")
        if first in self.aliases:  # steer/a/0.ts is long/0.ts
            path = f"/{self.aliases[first]}/" + rest.rpartition("/")[2]
        whole = re.fullmatch(r"/(parts-\d+)/segment-(\d+)\.m4s", path)
        if whole:
            parts = range(4 * int(whole[2]), 4 * int(whole[2]) + 4)
            bodies = [super(StreamOrigin, self).read(f"/{whole[1]}/{i}.m4s") for i in parts]
            return b"".join(body for body, _ in bodies), TYPES[".m4s"]
        found = super().read(path, query)
        if found and path.endswith((".m3u8", ".mpd")):
            return found[0].replace(b"{base}", self.base.encode()), found[1]
        return found

    def read_live(self, path, query):
        """The text and type of a document that is made for this request, or None."""
        fixed = documents.FIXED.get(path)
        if fixed:
            return fixed, TYPES.get(os.path.splitext(path)[1], "application/json")
        if path == "/time":
            return datetime.now(timezone.utc).isoformat(), "text/plain"
        part = re.fullmatch(r"/parts-\d+/(\d+)\.m4s", path)
        if part:  # a part that is announced is held until it is there
            self.wait_for("parts", (int(part[1]) + 1) / 2)
            return None
        level = re.fullmatch(r"/parts-(\d+)/index\.m3u8", path)
        if level:
            return self.low_latency(level[1], parse_qs(query)), HLS
        pathway = re.fullmatch(r"/steer/([ab])/index\.m3u8", path)
        if pathway:
            return documents.live_playlist(int(self.age("steer") // 2)), HLS
        if path == "/steer/manifest.json":
            return documents.steering("again" in query), "application/json"
        if path == "/dash/steering.json":
            return documents.dash_steering("again" in query), "application/json"
        return self.read_live_mpd(path, query)

    def read_live_mpd(self, path, query):
        if path in documents.LIVE_MPDS:
            write = documents.LIVE_MPDS[path]
            return write(self.since(path), int(self.age(path) // 2)), MPD
        patch = re.fullmatch(r"/dash/(patches/)?patch\.mpp", path)
        if patch:
            folder = patch[1] or ""
            name = documents.PATCHED[folder]
            known = int(parse_qs(query)["known"][0])
            self.wait_for(name, 2 * (known + 1))
            text = documents.patch(folder, self.since(name), known, int(self.age(name) // 2))
            return text, "application/dash-patch+xml"
        return None

    def low_latency(self, level, asked):
        if "_HLS_msn" in asked:
            part = int(asked["_HLS_part"][0]) if "_HLS_part" in asked else 3
            self.wait_for("parts", (4 * int(asked["_HLS_msn"][0]) + part + 1) / 2)
        return documents.low_latency_playlist(level, int(self.age("parts") * 2), 2 * LONG)
