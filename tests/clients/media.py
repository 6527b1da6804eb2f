"""Makes the streams for the real players: ten seconds of test video and a tone, in several
containers. Takes some seconds; runs once per build directory.

    media.py FOLDER
"""

import os
import shutil
import subprocess
import sys

SECONDS = 10
FRAMES = SECONDS * 25
DONE = "complete-3"  # change the number with the streams

VTT_HEAD = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0"

MASTER = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="tone",NAME="low",LANGUAGE="en",DEFAULT=YES,URI="low/index.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="tone",NAME="high",LANGUAGE="de",DEFAULT=NO,URI="high/index.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="text",NAME="en",DEFAULT=YES,URI="text/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=400000,CODECS="avc1.42c00c,mp4a.40.2",AUDIO="tone",SUBTITLES="text"
small/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=900000,CODECS="avc1.42c015,mp4a.40.2",AUDIO="tone",SUBTITLES="text"
large/index.m3u8
"""


def ffmpeg(*arguments, folder):
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"ffmpeg {' '.join(arguments)}\n{done.stderr}")


def picture(size, seconds=SECONDS):
    return ["-f", "lavfi", "-i", f"testsrc=size={size}:rate=25:duration={seconds}"]


def tone(hertz, seconds=SECONDS):
    return ["-f", "lavfi", "-i", f"sine=frequency={hertz}:sample_rate=44100:duration={seconds}"]


VIDEO = [
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-profile:v",
    "baseline",
    "-pix_fmt",
    "yuv420p",
    "-g",
    "50",
    "-keyint_min",
    "50",
    "-sc_threshold",
    "0",
]
AUDIO = ["-c:a", "aac", "-b:a", "64k"]


def hls(*more):
    return [
        "-f",
        "hls",
        "-hls_time",
        "2",
        "-hls_list_size",
        "0",
        "-hls_playlist_type",
        "vod",
        *more,
    ]


def subfolder(root, *names):
    path = os.path.join(root, *names)
    os.makedirs(path, exist_ok=True)
    return path


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make_ts(root):
    """ts/: MPEG-TS; the live window slides over it."""
    folder = subfolder(root, "ts")
    ffmpeg(
        *picture("320x180"),
        # The AAC encoder begins one frame (1024 samples) early. This offset makes audio and video
        # begin together, so that no player has to skip a gap.
        *("-itsoffset", f"{1024 / 44100:.6f}"),
        *tone(440),
        *VIDEO,
        *AUDIO,
        *hls("-hls_segment_filename", "seg-%d.ts"),
        "index.m3u8",
        folder=folder,
    )
    return os.path.join(folder, "index.m3u8")


def make_encrypted(root, source):
    """aes/: ts/ encrypted with AES-128 and a key file."""
    folder = subfolder(root, "aes")
    with open(os.path.join(folder, "key.bin"), "wb") as file:
        file.write(bytes(range(16)))
    write(os.path.join(folder, "key.info"), "key.bin\nkey.bin\n000102030405060708090a0b0c0d0e0f\n")
    ffmpeg(
        "-i",
        source,
        "-c",
        "copy",
        *hls("-hls_key_info_file", "key.info", "-hls_segment_filename", "seg-%d.ts"),
        "index.m3u8",
        folder=folder,
    )


def make_multivariant(root):
    """fmp4/: two video, two audio and one subtitle rendition."""
    for name, size in (("small", "320x180"), ("large", "480x270")):
        ffmpeg(
            *picture(size),
            *VIDEO,
            *hls("-hls_segment_type", "fmp4"),
            "index.m3u8",
            folder=subfolder(root, "fmp4", name),
        )
    for name, hertz in (("low", 220), ("high", 880)):
        ffmpeg(
            *tone(hertz),
            *AUDIO,
            *hls("-hls_segment_type", "fmp4"),
            "index.m3u8",
            folder=subfolder(root, "fmp4", name),
        )
    text = subfolder(root, "fmp4", "text")
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for i in range(SECONDS // 2):
        times = f"00:{2 * i:02}.000 --> 00:{2 * i + 2:02}.000"
        write(os.path.join(text, f"{i}.vtt"), f"{VTT_HEAD}\n\n{times}\nline {i}\n")
        lines += ["#EXTINF:2.0,", f"{i}.vtt"]
    write(os.path.join(text, "index.m3u8"), "\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    write(os.path.join(root, "fmp4", "master.m3u8"), MASTER)


def make_dash(root, seconds=3):
    """dash/: a static manifest with a timeline."""
    ffmpeg(
        *picture("320x180", seconds),
        *tone(440, seconds),
        *VIDEO,
        *AUDIO,
        *("-f", "dash", "-seg_duration", "1", "-use_template", "1", "-use_timeline", "1"),
        "manifest.mpd",
        folder=subfolder(root, "dash"),
    )


def make_file(root):
    """movie.mp4: index first, and large enough that a seek makes a new request."""
    ffmpeg(
        *picture("640x360", 60),
        *tone(440, 60),
        *VIDEO,
        "-crf",
        "15",
        "-bf",
        "0",
        *AUDIO,
        "-movflags",
        "+faststart",
        "movie.mp4",
        folder=root,
    )


def make(root):
    done = os.path.join(root, DONE)
    if os.path.exists(done):
        return
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    source = make_ts(root)
    make_encrypted(root, source)
    make_multivariant(root)
    make_dash(root)
    make_file(root)
    write(done, "")


if __name__ == "__main__":
    make(os.path.abspath(sys.argv[1]))
