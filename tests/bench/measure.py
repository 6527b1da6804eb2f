"""CPU-seconds and memory of all processes of a server, read from /proc."""

import fcntl
import os
import statistics
import struct
import termios
import time

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def stat_fields(pid):
    """The fields of /proc/PID/stat after the command name, or None if the process has ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_temporary(pid):
    """Whether it is nginx's reader of an old cache, which ends after a minute."""
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return "cache loader" in file.read()
    except (FileNotFoundError, ProcessLookupError):
        return True


def family(root):
    """The process `root` and all its descendants that stay."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := stat_fields(name)) and not is_temporary(name):
            children.setdefault(int(fields[1]), []).append(int(name))
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += children.get(pid, [])
    return sorted(found)


def cpu_seconds(pids):
    """(user, system) used so far. Fails if a process has ended, because its share is lost."""
    user = system = 0
    for pid in pids:
        fields = stat_fields(pid)
        if not fields:
            raise RuntimeError(f"process {pid} ended while it was measured")
        user += int(fields[11])
        system += int(fields[12])
    return user / TICK, system / TICK


def pipe_bytes(pid):
    """Bytes in the pipes of a process. They are kernel memory, which RSS does not include."""
    seen, total = set(), 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        try:
            target = os.readlink(path)
            if not target.startswith("pipe:") or target in seen:
                continue
            seen.add(target)
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            continue  # closed in the meantime
        try:
            total += struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]
        finally:
            os.close(fd)
    return total


def memory_bytes(pids):
    """(resident, in pipes): sums over the processes."""
    resident = piped = 0
    for pid in pids:
        with open(f"/proc/{pid}/statm") as file:
            resident += int(file.read().split()[1]) * PAGE
        piped += pipe_bytes(pid)
    return resident, piped


def settled_memory(pids, limit=15.0):
    """memory_bytes(), as soon as it changes by less than 1 % in 1.5 s, or after `limit` seconds."""
    deadline = time.monotonic() + limit
    history = [memory_bytes(pids)]
    while time.monotonic() < deadline:
        time.sleep(0.5)
        history.append(memory_bytes(pids))
        sums = [sum(sample) for sample in history[-4:]]
        if len(sums) == 4 and max(sums) - min(sums) < 0.01 * max(sums):
            break
    return history[-1]


class CpuMeter:
    """`with CpuMeter(pids) as meter: work()` sets meter.user, .system and .total."""

    def __init__(self, pids):
        self.pids = pids

    def __enter__(self):
        self.before = cpu_seconds(self.pids)
        return self

    def __exit__(self, kind, error, trace):
        if kind:
            return
        after = cpu_seconds(self.pids)
        self.user, self.system = (b - a for a, b in zip(self.before, after))
        self.total = self.user + self.system


def median(values):
    return statistics.median(values)
