"""A worker has the shared memory read-only, except its own column and the limits by rate."""

import os
import re
import tempfile

from harness import BINARY, ProxyTest, main, streamgate, wait_until
from programs import NEXT, put

COLUMN = (320 + 512) * 1024  # counters and live streams; the table of counts by client
ARRIVALS = (1024 + 64) * 1024  # the limits by rate, which all workers write


def scoreboard_mappings(pid):
    """The mappings of the scoreboard: (bytes, access, may be made writable)."""
    out = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        text = file.read()
    for entry in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", text):
        head = entry.split("\n", 1)[0]
        if "streamgate-scoreboard" not in head:
            continue
        span, access = head.split()[:2]
        start, end = (int(part, 16) for part in span.split("-"))
        flags = re.search(r"^VmFlags: (.*)$", entry, re.M)[1].split()
        out.append((end - start, access, "mw" in flags))
    return out


def scoreboard_descriptors(pid):
    links = (os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    return [link for link in links if "streamgate-scoreboard" in link]


class SharedMemory(ProxyTest):
    def check_workers(self, proxy):
        for pid in proxy.workers():
            mappings = scoreboard_mappings(pid)
            writable = [entry for entry in mappings if "w" in entry[1]]
            expected = [(size, "rw-s", True) for size in (COLUMN, ARRIVALS)]
            self.assertEqual(writable, expected)
            # Without "mw", the kernel refuses mprotect(PROT_WRITE).
            others = {entry[1:] for entry in mappings if entry not in writable}
            self.assertEqual(others, {("r--s", False)})
            self.assertEqual(scoreboard_descriptors(pid), [])

    def test_a_worker_can_write_nothing_but_its_own_column_and_the_rates(self):
        proxy = self.own_proxy({"workers": 3})
        self.check_workers(proxy)
        killed = proxy.workers()[1]
        os.kill(killed, 9)
        wait_until(
            lambda: len(proxy.events_named("worker.ready")) == 4, what="the worker's successor"
        )
        self.check_workers(proxy)
        self.assertEqual(proxy.ask("/health").status, 200)

    def test_the_workers_of_a_program_that_took_over_are_confined_too(self):
        with tempfile.TemporaryDirectory(prefix="streamgate-run-") as folder:
            os.chmod(folder, 0o755)
            program = os.path.join(folder, "streamgate")
            put(BINARY, program)
            proxy = self.own_proxy(
                {"workers": 2, "pid_file": os.path.join(folder, "pid")}, binary=program
            )
            before = proxy.workers()
            put(NEXT, program)
            done = streamgate("-c", proxy.config_file, "-s", "reload")
            self.assertEqual(done.stdout, "reload 1: ok\n", done)
            wait_until(lambda: not set(before) & set(proxy.workers()), what="the old workers' exit")
            self.assertEqual(len(proxy.workers()), 2)
            self.check_workers(proxy)


if __name__ == "__main__":
    main()
