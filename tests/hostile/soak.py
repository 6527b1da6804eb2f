"""All attacks at once, with reloads, upgrades and kills, for some minutes; one row of the table for
each minute.
"""

import os
import subprocess
import threading
import time

from bystander import FORK, IDLE, Child
from controllers import Kills
from harness import BINARY, streamgate
from measure import ATTACKS, LONG, QUIET, Attack, Measurement, run_attack

CYCLE = 28.0  # seconds; then the attackers leave and come again
RELOAD_EVERY = 10.0
UPGRADE_EVERY = 3  # reloads
READ_EVERY = 20.0
RUNS = list(dict.fromkeys(attack.run for attack in ATTACKS if attack.run and attack.in_soak))


def put_by_another_process(source, path):
    """As put(). An attacker that is forked during a copy in this process would inherit the open
    file, and a file that is open for writing cannot be executed."""
    subprocess.run(["cp", source, path + ".new"], check=True)
    os.replace(path + ".new", path)


class Reloader:
    """`-s reload` in a thread; before each third one the program file is replaced."""

    def __init__(self, service):
        self.service, self.over = service, threading.Event()
        self.reloads = self.upgrades = 0
        self.failures = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        number = 0
        while not self.over.wait(RELOAD_EVERY):
            number += 1
            upgrade = number % UPGRADE_EVERY == 0
            if upgrade:
                put_by_another_process(BINARY, self.service.program)
            done = streamgate("-c", self.service.config_file, "-s", "reload")
            if done.returncode != 0:
                self.failures.append(done.stderr.strip())
                continue
            self.reloads += 1
            running = os.stat(f"/proc/{self.service.process.pid}/exe").st_ino
            self.upgrades += upgrade and running == os.stat(self.service.program).st_ino


class Soak(Measurement):
    pause = 0.2  # the looks cost an eighth of a CPU otherwise

    def __init__(self, minutes):
        settings = {
            "client": {**LONG, "write_stall_timeout": "30s"},
            "limits": {"connections": 6000},
            "trusted_proxies": [],
        }
        super().__init__(
            Attack("soak", settings=settings, own_names=True, log="pipe", streams=8)
        )
        self.minutes, self.broken = minutes, []
        self.stop, self.attackers, self.counts = None, [], {}
        self.cycle_ends = self.next_read = 0.0

    def read_log(self):
        """The log pipe is read now and then, so it fills up and drains."""
        if time.monotonic() < self.next_read:
            return
        self.next_read = time.monotonic() + READ_EVERY
        os.set_blocking(self.service.read_end, False)
        with open(self.service.log_file, "ab") as file:
            for _ in range(64):
                try:
                    file.write(os.read(self.service.read_end, 65536))
                except BlockingIOError:
                    break

    def attack_again(self):
        if time.monotonic() < self.cycle_ends:
            return
        self.end_attackers()
        self.stop = FORK.Event()
        # Attackers of the real world have machines of their own. With nice 19, fourteen of them
        # still take a fifth of the two cores, and make a worker wait for their time slices.
        self.attackers = [
            (run.__name__, Child(run_attack, run, self.service.front, self.stop, nice=IDLE))
            for run in RUNS
        ]
        self.cycle_ends = time.monotonic() + CYCLE

    def end_attackers(self):
        if self.stop:
            self.stop.set()
        for name, child in self.attackers:
            counts = child.receive()
            first, number = next(iter(counts.items()))
            if first == "error":
                self.broken.append(f"{name}: {number}")
            else:
                self.counts[name] = self.counts.get(name, 0) + number
            child.end()
        self.attackers = []

    def minute(self, number, reloader, kills):
        row = self.row
        row.name, row.broken, row.peak, row.slowest_answer = f"minute {number}", [], 0, 0.0
        before = reloader.reloads, reloader.upgrades, kills.killed
        kills.may_be_cut.clear()
        self.bystander.ask("clear")
        self.machine.ask("clear")
        self.watch(60, (self.attack_again, self.read_log, kills.turn))
        row.during = self.bystander.ask("result")
        row.machine = self.machine.ask("result")
        row.counts = dict(
            zip(
                ("reloads", "upgrades", "killed"),
                (
                    reloader.reloads - before[0],
                    reloader.upgrades - before[1],
                    kills.killed - before[2],
                ),
            )
        )
        row.kept = row.start  # memory is checked after the last minute
        row.check_bounds(self.attack, kills.may_be_cut)
        self.broken += [f"{row.name}: {text}" for text in row.broken]

    def run(self, print_row):
        row = self.row
        time.sleep(1)
        self.bystander.ask("clear")
        self.watch(QUIET)
        row.quiet, row.start = self.bystander.ask("result"), self.service.resident()
        reloader, kills = Reloader(self.service), Kills(self.service, self.bystander, every=15)
        for number in range(1, self.minutes + 1):
            self.minute(number, reloader, kills)
            print_row(row.cells())
        reloader.over.set()
        reloader.thread.join(30)
        self.end_attackers()
        self.recover()
        row.name, row.counts = "after", {**self.counts}
        print_row(row.cells())
        row.broken = []
        row.check_memory()
        row.check(not reloader.failures, f"reloads failed: {reloader.failures[:3]}")
        row.check(reloader.upgrades > 0, "no upgrade took place")
        row.check(kills.killed > 0, "no worker was killed")
        for name in (run.__name__ for run in RUNS):
            row.check(self.counts.get(name), f"no attack: {name}")
        return self.broken + row.broken


def soak(minutes, print_row):
    """Returns the broken bounds."""
    run = Soak(minutes)
    try:
        return run.run(print_row)
    finally:
        run.end()
