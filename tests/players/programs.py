"""The players without a page. Each is a function of a URL and the length to play (None: to the end)
that returns what it has played: a number that is 0 if it has not, and the end of its complaints."""

import os
import re
import shutil
import subprocess
import tempfile

SECONDS = 60  # a player that takes longer has stalled


def run(*command, env=None, seconds=SECONDS):
    """Exit status (None: it was ended) and output of the command."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **(env or {})},
    )
    try:
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        process.kill()
        return None, process.communicate()[0]


def packets_of_ffmpeg(url, length, *options):
    limit = ["-t", str(length)] if length else []
    _, output = run(
        *("ffmpeg", "-v", "error", "-nostdin", *options, "-i", url, *limit),
        *("-map", "0:v?", "-map", "0:a?", "-c", "copy", "-f", "framecrc", "-"),
    )
    lines = output.splitlines()
    packets = [line for line in lines if re.match(r"\d+, ", line)]
    return len(packets), " | ".join(line for line in lines if line not in packets)[-300:]


def ffmpeg(url, length):
    return packets_of_ffmpeg(url, length)


def libavformat(folder):
    def play(url, length):
        """libavformat 8, of npm's node-av. A live stream is left after `length` seconds."""
        _, output = run("node", os.path.join(folder, "count_packets.mjs"), url, str(length or 0))
        match = re.search(r"packets=(\d+)", output)
        return int(match[1]) if match else 0, output[-300:]

    return play


def seconds_of_sound(path):
    """Of a WAV file of 44.1 kHz in 16 bits with one or two channels, in tenths."""
    size = os.path.getsize(path) if os.path.exists(path) else 0
    return size // 8820


def mpv(url, length):
    with tempfile.TemporaryDirectory(prefix="streamgate-mpv-") as folder:
        sound = os.path.join(folder, "sound.wav")
        limit = [f"--length={length}"] if length else []
        _, output = run(
            *("mpv", "--no-config", "--no-terminal", "--vo=null", "--ao=pcm", "--untimed"),
            *(f"--ao-pcm-file={sound}", f"--log-file={folder}/log", *limit, url),
            env={"HOME": folder},
        )
        with open(os.path.join(folder, "log"), encoding="utf-8", errors="replace") as file:
            complaints = [line for line in file if "][e]" in line]
        return seconds_of_sound(sound), (output + " | ".join(complaints))[-300:]


def vlc(url, length):
    """VLC refuses to run as root."""
    with tempfile.TemporaryDirectory(prefix="streamgate-vlc-") as folder:
        os.chmod(folder, 0o777)
        sound = os.path.join(folder, "sound.wav")
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        limit = [f"--run-time={length}"] if length else []
        _, output = run(
            *(user if os.geteuid() == 0 else []),
            *("cvlc", "--no-video-title-show", "--vout=dummy", "--aout=afile", *limit),
            *(f"--audiofile-file={sound}", "--play-and-exit", url, "vlc://quit"),
            env={"HOME": folder},
        )
        usual = re.compile(r"main (interface|libvlc) error")  # without a display and a D-Bus
        complaints = [
            line for line in output.splitlines() if "error" in line and not usual.search(line)
        ]
        return seconds_of_sound(sound), " | ".join(complaints)[-300:]


def gstreamer(url, length):
    """Counts seconds. A live stream is left after its length and twelve seconds to begin."""
    with tempfile.TemporaryDirectory(prefix="streamgate-gst-") as folder:
        _, output = run(
            *("gst-play-1.0", "--no-interactive", "--videosink=fakevideosink sync=true"),
            *("--audiosink=fakeaudiosink sync=true", url),
            env={"HOME": folder, "GST_REGISTRY_1_0": os.path.join(folder, "registry")},
            seconds=length + 12 if length else SECONDS,
        )
    positions = [
        3600 * int(h) + 60 * int(m) + float(s)
        for h, m, s in re.findall(r"(\d+):(\d\d):(\d\d\.\d) / ", output)
    ]
    complaints = [line for line in output.splitlines() if "ERROR" in line or "WARN" in line]
    played = max(positions) - min(positions) if positions else 0
    return (int(played) if "ERROR" not in output else 0), " | ".join(complaints)[-300:]


def is_installed(name):
    command = {"gstreamer": "gst-play-1.0", "vlc": "cvlc", "libavformat": "node"}.get(name, name)
    return shutil.which(command) is not None
