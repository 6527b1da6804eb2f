"""Workers that are broken from the start: the master must not spend the machine on them."""

import os
import tempfile
import time

from harness import Proxy, ProxyTest, main, wait_until
from programs import FAULTY


def cpu_seconds(pid):
    """Of a process and of all its children that are gone."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


class BrokenWorkers(ProxyTest):
    def start(self, fault, workers, **settings):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "fault")
        with open(path, "w", encoding="ascii") as file:
            file.write(fault)
        proxy = Proxy(
            {"workers": workers, **settings},
            binary=FAULTY,
            environment={"STREAMGATE_FAULT": path},
            awaited="master.started",
        )
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.stop)
        return proxy

    def test_workers_that_die_at_start_in_every_place_are_no_fork_bomb(self):
        places = 4
        proxy = self.start("crash", places)
        wait_until(lambda: len(proxy.events_named("worker.backoff")) >= places, 20)
        begun, before = time.monotonic(), cpu_seconds(proxy.process.pid)
        started = len(proxy.events_named("worker.started"))
        # 1, 2 and 4 s after its first deaths each place tries again.
        proxy.wait_for_event("worker.backoff", 20, delay="8s")
        elapsed = time.monotonic() - begun
        share = (cpu_seconds(proxy.process.pid) - before) / elapsed
        print(f"{100 * share:.1f} % of a core over {elapsed:.0f} s", end=" ")
        self.assertLess(share, 0.05)
        attempts = len(proxy.events_named("worker.started"))
        self.assertLessEqual(attempts - started, 3 * places)
        self.assertLessEqual(attempts, 8 * places)
        for event in ("worker.died", "worker.started"):
            self.assertLessEqual(abs(len(proxy.events_named(event)) - attempts), places)
        self.assertEqual({e["status"] for e in proxy.events_named("worker.died")}, {"99"})
        self.assertIsNone(proxy.process.poll())
        self.assertEqual(proxy.stop(), 0)

    def test_workers_that_cannot_start_end_the_start(self):
        proxy = self.start("cannot_start", 4)
        self.assertEqual(proxy.process.wait(20), 1)
        self.assertLessEqual(len(proxy.events_named("worker.started")), 4)
        self.assertEqual(len(proxy.events_named("master.start_failed")), 1)

    def test_a_worker_that_freezes_is_ended_so_that_a_core_tells_where(self):
        proxy = self.start("freeze", 1, watchdog_timeout="2s")
        died = proxy.wait_for_event("worker.died", 20)
        self.assertEqual((died["signal"], died["hint"]), ("ABRT", "-"))
        stuck = proxy.wait_for_event("worker.stuck")
        self.assertEqual(stuck["worker"], died["worker"])
        wait_until(lambda: len(proxy.events_named("worker.started")) == 2, what="its successor")


if __name__ == "__main__":
    main()
