"""The service under attack: starts it, measures the bystander quiet and during an attack, and checks
the bounds.
"""

import fcntl
import os
import pwd
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
from dataclasses import dataclass, field
from typing import Callable, Optional

import attacks
from bystander import FORK, Child, owner_of, run_bystander, serve_names, serve_origin
from harness import BINARY, SANITIZER, closed_port, streamgate, wait_until, yaml
from http_client import Client
from name_server import UNSHARE_FLAGS
from programs import put

QUIET = 5.0  # seconds
ATTACK = 12.0
WORST_P99 = 20.0  # ms, or twice the quiet one
LONGEST_GAP = 0.2  # seconds without a byte of a paced stream
MEMORY_MARGIN = 8 << 20  # bytes above the start that a worker may keep
MEMORY_PATIENCE = 60.0
PROMPT = 1.0  # seconds until the master has handled a signal

WRAPPER = """#!/bin/sh
if [ -z "$STREAMGATE_NAMES" ]; then
  STREAMGATE_NAMES=1 exec unshare {flags} "$0" "$@"
fi
mount --bind {folder}/resolv.conf /etc/resolv.conf && exec {folder}/streamgate "$@"
"""


class Service:
    """A streamgate on two workers, of which stderr is a file or a pipe that nobody reads."""

    def __init__(self, settings, own_names="", full_pipe=False):
        self.folder = tempfile.mkdtemp(prefix="streamgate-hostile-")
        os.chmod(self.folder, 0o755)
        self.port = closed_port()
        self.front = ("127.0.0.1", self.port)
        self.config_file = os.path.join(self.folder, "c.yaml")
        self.program = os.path.join(self.folder, "streamgate")
        put(BINARY, self.program)
        self.settings = {
            "listen": f"0.0.0.0:{self.port}",
            "workers": 2,
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "pid_file": os.path.join(self.folder, "pid"),
            "security": {"allow_private": ["127.0.0.0/8"]},
            **settings,
        }
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(yaml(self.settings))
        self.read_end = None
        self.log_file = os.path.join(self.folder, "log")
        self.process = self.start(own_names, full_pipe)
        wait_until(self.is_ready, 20, "two workers that serve")

    def start(self, own_names, full_pipe):
        command = [self.program, "-c", self.config_file]
        if own_names:
            with open(self.folder + "/resolv.conf", "w", encoding="ascii") as file:
                file.write(own_names)
            command[0] = self.folder + "/wrapper"
            with open(command[0], "w", encoding="ascii") as file:
                file.write(WRAPPER.format(flags=UNSHARE_FLAGS, folder=self.folder))
            os.chmod(command[0], 0o700)
        if full_pipe:
            self.read_end, log = os.pipe()
        else:
            log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
        )
        os.close(log)
        return process

    def is_ready(self):
        try:
            with Client(self.front) as client:
                client.request("/health", [("Connection", "close")])
                return client.read_response().status == 200 and len(self.workers()) == 2
        except OSError:
            return False

    def workers(self):
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(path, encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]

    def resident(self):
        """The largest resident size of a worker."""
        sizes = [0]
        for pid in self.workers():
            try:
                with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                    sizes.append(int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE"))
            except (OSError, IndexError):
                pass  # it has ended
        return max(sizes)

    def answer_time(self):
        """The time that the master needs for a signal: `-s status` sends one and waits."""
        begun = time.monotonic()
        done = streamgate("-c", self.config_file, "-s", "status")
        taken = time.monotonic() - begun
        return taken if done.returncode == 0 else max(taken, 2 * PROMPT)

    def log(self):
        with open(self.log_file, encoding="utf-8", errors="replace") as file:
            return file.read()

    def count(self, event):
        return self.log().count(f" {event} ")

    def unread_bytes(self):
        """How many bytes wait in the log pipe."""
        packed = fcntl.ioctl(self.read_end, termios.FIONREAD, struct.pack("i", 0))
        return struct.unpack("i", packed)[0]

    def end(self):
        """Stops the service; returns what its log says of a defect, or nothing."""
        for pid in self.workers():
            os.kill(pid, signal.SIGKILL)  # its streams are endless
        self.process.kill()
        self.process.wait()
        found = SANITIZER.search(self.log()) if self.read_end is None else None
        if self.read_end is not None:
            os.close(self.read_end)
        shutil.rmtree(self.folder, ignore_errors=True)
        return found.group(0) if found else ""


class Reloads:
    """HUP, twice a second."""

    def __init__(self, service, _):
        self.service, self.next, self.sent = service, 0.0, 0

    def turn(self):
        if time.monotonic() < self.next:
            return
        self.next = time.monotonic() + 0.5
        self.service.process.send_signal(signal.SIGHUP)
        self.sent += 1

    def counts(self):
        wait_until(lambda: self.service.count("reload.done"), 10)
        return {"HUPs": self.sent, "reloads": self.service.count("reload.done")}


class Kills:
    """kill -9 of the worker of one of the bystander's streams, every few seconds."""

    def __init__(self, service, bystander, every=3):
        self.service, self.bystander, self.every = service, bystander, every
        self.next, self.killed, self.may_be_cut = time.monotonic() + 1, 0, []

    def turn(self):
        workers = self.service.workers()
        if time.monotonic() < self.next or len(workers) < 2:
            return
        ports = self.bystander.ask("ports")
        owners = {port: owner_of(port, self.service.port, workers) for port in ports}
        victim = owners[ports[self.killed % len(ports)]] or workers[0]
        os.kill(victim, signal.SIGKILL)
        self.killed += 1
        self.may_be_cut += [port for port, owner in owners.items() if owner == victim]
        self.next = time.monotonic() + self.every

    def counts(self):
        return {"killed": self.killed, "died": self.service.count("worker.died")}


class FullPipe:
    """Nobody reads the log; HUP, so that the master has something to log."""

    def __init__(self, service, _):
        self.service, self.reloads = service, Reloads(service, None)
        self.least = 1 << 30

    def turn(self):
        self.reloads.turn()
        self.least = self.service.unread_bytes()

    def counts(self):
        os.set_blocking(self.service.read_end, False)
        text = b""
        deadline = time.monotonic() + 5
        while b" log.dropped " not in text and time.monotonic() < deadline:
            try:
                text += os.read(self.service.read_end, 65536)
            except BlockingIOError:
                time.sleep(0.05)
        return {"unread": self.least, "dropped": text.count(b" log.dropped ")}


@dataclass
class Attack:
    name: str
    run: Optional[Callable] = None  # in a process of its own: attacks.py
    controllers: tuple = ()  # in this process
    settings: dict = field(default_factory=dict)
    needs: dict = field(default_factory=dict)  # the least counts of an attack that took place
    most: dict = field(default_factory=dict)  # the greatest
    streams: int = 2
    full_pipe: bool = False
    own_names: bool = False


LONG = {"header_timeout": "60s", "keepalive_timeout": "60s", "write_stall_timeout": "120s"}
ATTACKS = [
    Attack("loop", attacks.loop, needs={"508": 100, "at the upstream": 100}),
    Attack("gzip bombs", attacks.bombs, settings={"client": LONG}, needs={"begun": 80}),
    Attack(
        "full log pipe",
        attacks.long_lines,
        (FullPipe,),
        full_pipe=True,
        needs={"logged bytes": 1 << 18, "unread": 50_000, "dropped": 1},
    ),
    Attack(
        "silent names",
        attacks.names,
        settings={"trusted_proxies": []},
        own_names=True,
        needs={"at once": 3000, "asked for": 1000},
    ),
    Attack(
        "connection flood",
        attacks.flood,
        settings={"limits": {"connections": 500}, "client": LONG},
        needs={"opened": 4000, "open": 400},
        most={"open": 502},
    ),
    Attack(
        "idle keep-alive",
        attacks.idle_keep_alive,
        settings={"limits": {"connections": 1500}, "client": LONG},
        needs={"answered": 1500, "open": 1400},
        most={"open": 1502},
    ),
    Attack("slow heads", attacks.slow_heads, settings={"client": LONG}, needs={"bytes": 5000, "open": 900}),
    Attack(
        "stalled viewers",
        attacks.stalled_viewers,
        settings={"client": LONG},
        needs={"viewers": 300, "MiB sent": 30},
    ),
    Attack("reloads", controllers=(Reloads,), needs={"HUPs": 15, "reloads": 5}),
    Attack("killed workers", controllers=(Kills,), streams=8, needs={"killed": 3, "died": 3}),
]


def run_attack(connection, function, front, stop):
    try:
        connection.send(function(front, stop))
    except Exception as error:  # pylint: disable=broad-exception-caught
        connection.send({"error": repr(error)})
    connection.recv()


class Row:
    """What was measured of one attack."""

    def __init__(self, name):
        self.name = name
        self.quiet = self.during = {}
        self.counts, self.broken = {}, []
        self.slowest_answer = self.recovery = 0.0
        self.start = self.peak = self.kept = 0

    def check(self, holds, text):
        if not holds:
            self.broken.append(text)

    def check_bounds(self, attack, may_be_cut):
        quiet, during = self.quiet, self.during
        bound = max(2 * quiet["p99"], WORST_P99)
        self.check(during["p99"] <= bound, f"p99 {during['p99']:.1f} ms > {bound:.1f} ms")
        cut = [port for port in during["cuts"] if port not in may_be_cut]
        self.check(not cut, f"{len(cut)} bystander streams cut")
        self.check(during["gap"] <= LONGEST_GAP, f"stream silent for {during['gap']:.2f} s")
        self.check(during["blocks"] > 100, "the paced streams did not run")
        allowed = self.counts.get("killed", 0)  # the request that the worker was serving
        failures = during["failures"]
        self.check(len(failures) <= allowed, f"{len(failures)} failed: {failures[:2]}")
        self.check(self.slowest_answer <= PROMPT, f"master took {self.slowest_answer:.2f} s")
        self.check_memory()
        self.check("error" not in self.counts, self.counts.get("error"))
        for name, least in attack.needs.items():
            self.check(self.counts.get(name, 0) >= least, f"no attack: {name} < {least}")
        for name, most in attack.most.items():
            self.check(self.counts.get(name, 0) <= most, f"{name} > {most}")

    def check_memory(self):
        more = self.kept - self.start
        self.check(more <= MEMORY_MARGIN, f"a worker keeps {more >> 20} MiB more")

    HEADINGS = (
        "attack", "quiet p50/p99 ms", "attack p50/p99/max ms", "gap s", "cut", "failed",
        "master s", "MiB start/peak/after", "back in s", "took place",
    )

    def cells(self):
        q, d = self.quiet, self.during
        mib = "/".join(str(each >> 20) for each in (self.start, self.peak, self.kept))
        return (
            self.name, f"{q['p50']:.1f}/{q['p99']:.1f}",
            f"{d['p50']:.1f}/{d['p99']:.1f}/{d['max']:.0f}", f"{d['gap']:.2f}",
            str(len(d["cuts"])), str(len(d["failures"])), f"{self.slowest_answer:.2f}", mib,
            f"{self.recovery:.0f}", ", ".join(f"{name} {n}" for name, n in self.counts.items()),
        )


class Measurement:
    """One service with its bystander, under one attack."""

    def __init__(self, attack, seconds=ATTACK):
        self.attack, self.seconds, self.row = attack, seconds, Row(attack.name)
        self.origin = Child(serve_origin, nice=-10)
        self.names = Child(serve_names, nice=-10)
        port, names = self.origin.receive(), self.names.receive()
        host = "known.test" if attack.own_names else "127.0.0.1"
        self.service = Service(
            attack.settings, names if attack.own_names else "", attack.full_pipe
        )
        origin = f"http://{host}:{port}"
        self.bystander = Child(run_bystander, self.service.front, origin, attack.streams, nice=-10)

    def watch(self, seconds, turns=()):
        """Measures for some seconds: memory, and how fast the master answers."""
        row, end = self.row, time.monotonic() + seconds
        asked = time.monotonic()
        while time.monotonic() < end:
            row.peak = max(row.peak, self.service.resident())
            for turn in turns:
                turn()
            if time.monotonic() - asked > 1:
                row.slowest_answer = max(row.slowest_answer, self.service.answer_time())
                asked = time.monotonic()
            time.sleep(0.02)

    def run(self):
        row, attack = self.row, self.attack
        time.sleep(1)  # the first requests fill the caches
        self.bystander.ask("clear")
        self.watch(QUIET)
        row.quiet = self.bystander.ask("result")
        row.start, row.peak, row.slowest_answer = self.service.resident(), 0, 0.0
        self.bystander.ask("clear")
        controllers = [make(self.service, self.bystander) for make in attack.controllers]
        stop = FORK.Event()
        attackers = [
            Child(run_attack, function, self.service.front, stop, nice=10)
            for function in ([attack.run] if callable(attack.run) else attack.run or [])
        ]
        self.watch(self.seconds, [each.turn for each in controllers])
        row.during = self.bystander.ask("result")
        stop.set()
        for part in [child.receive() for child in attackers]:
            row.counts.update(part)
        for child in attackers:
            child.end()  # closes all of its connections
        if attack.own_names:
            row.counts["asked for"] = self.names.ask("count")
        self.recover()
        for controller in controllers:
            row.counts.update(controller.counts())
        cut = [port for each in controllers for port in getattr(each, "may_be_cut", ())]
        row.check_bounds(attack, cut)
        return row

    def recover(self):
        """Waits until the workers are as small as before, or a minute."""
        row, begun = self.row, time.monotonic()
        while True:
            row.kept, row.recovery = self.service.resident(), time.monotonic() - begun
            if row.kept <= row.start + MEMORY_MARGIN or row.recovery > MEMORY_PATIENCE:
                return
            time.sleep(0.25)

    def end(self):
        defect = self.service.end()
        self.row.check(not defect, f"the log has {defect}")
        self.bystander.end()
        self.origin.end()
        self.names.end()
