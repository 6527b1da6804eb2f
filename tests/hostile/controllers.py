"""What is done to the service itself during an attack. `turn` is called all the time."""

import contextlib
import fcntl
import os
import resource
import signal
import struct
import termios
import time

from bystander import owner_of
from harness import wait_until


class Reloads:
    """HUP, twice a second."""

    EVERY = 0.5

    def __init__(self, service, _):
        self.service, self.next, self.sent = service, 0.0, 0

    def turn(self):
        if time.monotonic() < self.next:
            return
        self.next = time.monotonic() + self.EVERY
        self.service.process.send_signal(signal.SIGHUP)
        self.sent += 1

    def counts(self):
        wait_until(lambda: self.service.count("reload.done"), 10)
        return {"HUPs": self.sent, "reloads": self.service.count("reload.done")}


class RareReloads(Reloads):
    """HUP, after idle connections have gathered."""

    EVERY = 5.0

    def __init__(self, service, bystander):
        super().__init__(service, bystander)
        self.next = time.monotonic() + self.EVERY


class FewDescriptors:
    """The workers may open so few descriptors that accept() fails."""

    LIMIT = 200

    def __init__(self, service, _):
        self.service = service
        for pid in service.workers():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (self.LIMIT, 4096))

    def turn(self):
        pass

    def counts(self):
        return {"accept failures": self.service.count("accept.failed")}


class UnreadLogs:
    """Nobody reads the FIFOs, or their disk is full. HUP gives the master something to log."""

    def __init__(self, service, _):
        self.service, self.reloads = service, Reloads(service, None)
        if service.disk:
            with open(service.disk + "/filler", "wb", buffering=0) as file:
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"f" * 1024)

    def turn(self):
        self.reloads.turn()

    def counts(self):
        free = os.statvfs(self.service.disk).f_bavail if self.service.disk else 0
        return {
            "reloads": int(self.service.status("sequence")),
            "dropped": self.service.total("access_lines_dropped"),
            "free blocks": free,
        }


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
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return  # it has left after a reload
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
        packed = fcntl.ioctl(self.service.read_end, termios.FIONREAD, struct.pack("i", 0))
        self.least = struct.unpack("i", packed)[0]

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
