"""Measures the bystander quiet and during an attack, and checks the bounds."""

import time
from dataclasses import dataclass, field
from typing import Callable, Optional

import attacks
from bystander import (
    FORK, Child, run_bystander, serve_names, serve_origin, watch_machine
)
from controllers import FewDescriptors, FullPipe, Kills, RareReloads, Reloads, UnreadLogs
from target import PROMPT, Service

QUIET = 5.0  # seconds
ATTACK = 12.0
SECOND_ATTACK = 4.0
WORST_P99 = 20.0  # ms, or twice the quiet one
LONGEST_GAP = 0.2  # seconds without a byte of a paced stream
MEMORY_MARGIN = 8 << 20  # bytes above the start that a worker may keep
MEMORY_PATIENCE = 60.0

@dataclass
class Attack:
    name: str
    run: Optional[Callable] = None  # in a process of its own: attacks.py
    controllers: tuple = ()  # in this process
    settings: dict = field(default_factory=dict)
    needs: dict = field(default_factory=dict)  # the least counts of an attack that took place
    most: dict = field(default_factory=dict)  # the greatest
    streams: int = 2
    log: str = "file"  # Service
    own_names: bool = False
    in_soak: bool = True


LONG = {"header_timeout": "60s", "keepalive_timeout": "60s", "write_stall_timeout": "120s"}
ATTACKS = [
    Attack("loop", attacks.loop, needs={"508": 100, "at the upstream": 100}),
    Attack("gzip bombs", attacks.bombs, settings={"client": LONG}, needs={"begun": 80}),
    Attack("long documents", attacks.documents, needs={"documents": 50}),
    Attack(
        "full log pipe",
        attacks.long_lines,
        (FullPipe,),
        log="pipe",
        # A full pipe is 16 pages; each line of 2.9 KiB takes one of its own.
        needs={"logged bytes": 1 << 18, "unread": 16 * 2_800, "dropped": 1},
    ),
    Attack(
        "log FIFO",
        attacks.long_lines,
        (UnreadLogs,),
        log="fifo",
        needs={"logged bytes": 1 << 18, "reloads": 5, "dropped": 50},
    ),
    Attack(
        "full disk",
        attacks.long_lines,
        (UnreadLogs,),
        log="disk",
        needs={"logged bytes": 1 << 18, "reloads": 5, "dropped": 50},
        most={"free blocks": 0},
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
        "few descriptors",
        attacks.flood,
        (FewDescriptors,),
        settings={"client": LONG},
        needs={"opened": 1000, "accept failures": 1},
        most={"open": 2 * FewDescriptors.LIMIT},
    ),
    Attack(
        "idle keep-alive",
        attacks.idle_keep_alive,
        settings={"limits": {"connections": 1500}, "client": LONG},
        needs={"answered": 1500, "open": 1400},
        most={"open": 1502},
    ),
    # After a reload all of them reach drain.idle at the same time.
    Attack(
        "idle at a reload",
        attacks.many_idle,
        (RareReloads,),
        settings={"limits": {"connections": 13_000}, "drain": {"idle": "1s"}, "client": LONG},
        needs={"open": 11_000, "closed by us": 11_000, "reloads": 2},
        in_soak=False,  # they would take the places of the other attackers
    ),
    Attack(
        "slow heads",
        attacks.slow_heads,
        settings={"client": LONG},
        needs={"bytes": 5000, "open": 900},
    ),
    Attack(
        "stalled viewers",
        attacks.stalled_viewers,
        settings={"client": LONG},
        needs={"viewers": 300, "MiB sent": 30},
    ),
    Attack(
        "refused connections",
        attacks.refused_connections,
        settings={
            "trusted_proxies": [],
            "limits": {"per_client": {"connections": 50}},
            "client": LONG,
        },
        needs={"opened": 20_000, "answered": 100},
    ),
    # The other clients, and the streams within the limit, keep their latency: at most twice the
    # quiet p99.
    Attack(
        "too many streams",
        attacks.too_many_streams,
        settings={"limits": {"per_client": {"streams": 20}}, "client": LONG},
        needs={"streams": 19, "refused": 5000},
        most={"streams": 20},
    ),
    Attack(
        "too many requests",
        attacks.too_many_requests,
        settings={"limits": {"per_client": {"requests": 200}}},
        needs={"waiting": 1000, "a second": 1000, "admitted a second": 160},
        most={"admitted a second": 220},
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
        self.slowest_answer = self.hup = self.term = self.recovery = 0.0
        self.start = self.peak = self.kept = 0
        self.machine = 0.0  # the longest delay of a process that only sleeps

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
        for name, taken in ("status", self.slowest_answer), ("HUP", self.hup), ("TERM", self.term):
            self.check(taken <= PROMPT, f"the master took {taken:.2f} s for {name}")
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
        "attack", "quiet p50/p99 ms", "attack p50/p99/max ms", "gap s", "upstream s",
        "machine s", "cut", "failed",
        "status/HUP/TERM s", "MiB start/peak/after", "back in s", "took place",
    )

    def cells(self):
        q, d = self.quiet, self.during
        mib = "/".join(str(each >> 20) for each in (self.start, self.peak, self.kept))
        return (
            self.name, f"{q['p50']:.1f}/{q['p99']:.1f}",
            f"{d['p50']:.1f}/{d['p99']:.1f}/{d['max']:.0f}", f"{d['gap']:.2f}",
            f"{d['upstream_gap']:.2f}", f"{self.machine:.2f}", str(len(d["cuts"])),
            str(len(d["failures"])), f"{self.slowest_answer:.2f}/{self.hup:.3f}/{self.term:.3f}",
            mib, f"{self.recovery:.0f}", ", ".join(f"{name} {n}" for name, n in self.counts.items()),
        )


class Measurement:
    """One service with its bystander, under one attack."""

    pause = 0.02  # seconds between two looks at the workers

    def __init__(self, attack, seconds=ATTACK):
        self.attack, self.seconds, self.row = attack, seconds, Row(attack.name)
        self.machine = Child(watch_machine)
        self.origin = Child(serve_origin, nice=-10)
        self.names = Child(serve_names, nice=-10)
        port, names = self.origin.receive(), self.names.receive()
        host = "known.test" if attack.own_names else "127.0.0.1"
        self.service = Service(
            attack.settings, names if attack.own_names else "", attack.log
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
            time.sleep(self.pause)

    def run(self):
        row, attack = self.row, self.attack
        time.sleep(1)  # the first requests fill the caches
        self.bystander.ask("clear")
        self.watch(QUIET)
        row.quiet = self.bystander.ask("result")
        row.start, row.peak, row.slowest_answer = self.service.resident(), 0, 0.0
        self.bystander.ask("clear")
        controllers = [make(self.service, self.bystander) for make in attack.controllers]
        turns = [each.turn for each in controllers]
        self.machine.ask("clear")
        stop, attackers = self.begin_attack()
        self.watch(self.seconds, turns)
        row.during = self.bystander.ask("result")
        row.machine = self.machine.ask("result")
        row.hup = self.service.reload_time()
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
        self.stop_during_attack(turns)
        cut = [port for each in controllers for port in getattr(each, "may_be_cut", ())]
        row.check_bounds(attack, cut)
        return row

    def begin_attack(self):
        stop = FORK.Event()
        runs = [self.attack.run] if self.attack.run else []
        children = [Child(run_attack, run, self.service.front, stop, nice=10) for run in runs]
        return stop, children

    def stop_during_attack(self, turns):
        """Attacks again for some seconds, and sends TERM."""
        _, attackers = self.begin_attack()
        self.watch(SECOND_ATTACK, turns)
        self.row.term = self.service.stop_time()
        for child in attackers:
            child.end()

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
        self.machine.end()
