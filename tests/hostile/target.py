"""The service that is attacked."""

import contextlib
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from bystander import set_priority
from harness import BINARY, SANITIZER, streamgate, wait_until, yaml
from http_client import Client
from name_server import UNSHARE_FLAGS
from programs import put

PROMPT = 1.0  # seconds until the master has handled a signal

WRAPPER = """#!/bin/sh
if [ -z "$STREAMGATE_NAMES" ]; then
  STREAMGATE_NAMES=1 exec unshare {flags} "$0" "$@"
fi
mount --bind {folder}/resolv.conf /etc/resolv.conf && exec {folder}/streamgate "$@"
"""


def service_port():
    """A port to listen on, below those that the system gives to clients.

    After a flood of connections tens of thousands of client ports are in use, and one that is free
    now can be the source of a connection a moment later.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first_of_clients = int(file.read().split()[0])
    for port in random.sample(range(first_of_clients // 2, first_of_clients), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("0.0.0.0", port))
            return port
    raise AssertionError("a hundred ports are in use")


@contextlib.contextmanager
def priority(nice):
    """For the programs that are started in between."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    set_priority(nice)
    try:
        yield
    finally:
        set_priority(before)


class Service:
    """A streamgate on two workers. `log` is "file", "pipe" (stderr is a pipe that nobody reads), "fifo"
    (both logs are FIFOs that nobody reads) or "disk" (logs and status are on a small disk)."""

    def __init__(self, settings, own_names="", log="file"):
        self.folder = tempfile.mkdtemp(prefix="streamgate-hostile-")
        os.chmod(self.folder, 0o755)
        self.port = service_port()
        self.front = ("127.0.0.1", self.port)
        self.config_file = os.path.join(self.folder, "c.yaml")
        self.program = os.path.join(self.folder, "streamgate")
        put(BINARY, self.program)
        self.log_file = os.path.join(self.folder, "log")
        self.disk = None
        if log == "disk":
            self.disk = tempfile.mkdtemp(prefix="streamgate-disk-")
            mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "none", self.disk]
            subprocess.run(mount, check=True)
        self.pid_file = os.path.join(self.disk or self.folder, "pid")
        self.settings = {
            "listen": f"0.0.0.0:{self.port}",
            "workers": 2,
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "pid_file": self.pid_file,
            "security": {"allow_private": ["127.0.0.0/8"]},
            **settings,
        }
        if log in ("fifo", "disk"):
            folder = self.disk or self.folder
            logs = {name: os.path.join(folder, name + ".log") for name in ("access", "error")}
            self.settings["log"] = logs
            if log == "fifo":
                for path in logs.values():
                    os.mkfifo(path)
        self.write_config()
        self.read_end = None
        self.process = self.start(own_names, log == "pipe")
        wait_until(self.is_ready, 20, "two workers that serve")

    def write_config(self, extra=""):
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(yaml(self.settings) + extra)

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
        """The time that the master needs for a signal: `-s status` sends one and waits. The order
        itself has a high priority, so that its own wait for a CPU does not count."""
        with priority(-10):
            begun = time.monotonic()
            done = streamgate("-c", self.config_file, "-s", "status")
            taken = time.monotonic() - begun
        return taken if done.returncode == 0 else max(taken, 2 * PROMPT)

    def status(self, key):
        """The first value of `key` in the status file, which the master writes when it acts."""
        with contextlib.suppress(OSError):
            with open(self.pid_file + ".status", encoding="ascii", errors="replace") as file:
                found = re.search(rf"(?<!\S){key}=(\S+)", file.read())
                return found and found[1]
        return None

    def time_of(self, number, has_acted):
        """The time from a signal until the status file shows that the master has acted."""
        begun = time.monotonic()
        self.process.send_signal(number)
        while not has_acted() and time.monotonic() - begun < 10:
            time.sleep(0.002)
        return time.monotonic() - begun

    def reload_time(self):
        """HUP with a wrong configuration: the master reads it, refuses it and serves on."""
        wait_until(lambda: self.status("state") == "serving", 20, "the end of a reload")
        self.write_config("nonsense: 1\n")
        before = self.status("sequence")
        taken = self.time_of(signal.SIGHUP, lambda: self.status("sequence") != before)
        self.write_config()
        return taken if self.status("result") == "failed" else 2 * PROMPT

    def stop_time(self):
        return self.time_of(signal.SIGTERM, lambda: self.status("state") == "stopping")

    def total(self, name):
        """A counter of all workers."""
        text = streamgate("-c", self.config_file, "-s", "status").stdout
        return int(re.search(rf"(?m)^total .*\b{name}=(\d+)", text)[1])

    def log(self):
        with open(self.log_file, encoding="utf-8", errors="replace") as file:
            return file.read()

    def count(self, event):
        return self.log().count(f" {event} ")

    def end(self):
        """Stops the service; returns what its log says of a defect, or nothing."""
        for pid in self.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # its streams are endless
        self.process.kill()
        self.process.wait()
        found = SANITIZER.search(self.log()) if os.path.exists(self.log_file) else None
        if self.read_end is not None:
            os.close(self.read_end)
        if self.disk:
            subprocess.run(["umount", "-l", self.disk], check=True)
            os.rmdir(self.disk)
        shutil.rmtree(self.folder, ignore_errors=True)
        return found.group(0) if found else ""
