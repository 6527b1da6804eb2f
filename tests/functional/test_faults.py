"""Workers that fail at their start: the master limits the CPU time spent on retries."""

import os
import signal
import tempfile
import time

from harness import Proxy, ProxyTest, log_time, main, wait_until
from programs import FAULTY


def cpu_seconds(pid):
    """CPU time of a process and of all its children that have ended."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


class BrokenWorkers(ProxyTest):
    def start(self, fault, workers, **settings):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        self.fault = os.path.join(folder.name, "fault")
        self.set_fault(fault)
        proxy = Proxy(
            {"workers": workers, **settings},
            binary=FAULTY,
            environment={"STREAMGATE_FAULT": self.fault},
            awaited="master.started",
        )
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.stop)
        return proxy

    def set_fault(self, name):
        with open(self.fault, "w", encoding="ascii") as file:
            file.write(name)

    def test_workers_that_die_at_start_are_retried_once_a_second(self):
        slots = 4
        proxy = self.start("crash", slots)
        # Each slot has failed several times, and none serves.
        wait_until(lambda: len(proxy.events_named("worker.died")) >= 6 * slots, 40)
        begun, before = time.monotonic(), cpu_seconds(proxy.process.pid)
        first = len(proxy.events_named("worker.died"))
        time.sleep(8)
        died = proxy.events_named("worker.died")[first - 1 :]
        elapsed = time.monotonic() - begun
        share = (cpu_seconds(proxy.process.pid) - before) / elapsed
        print(f"{100 * share:.1f} % of a core over {elapsed:.0f} s", end=" ")
        self.assertLess(share, 0.05)
        times = [log_time(entry) for entry in died]
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        self.assertLessEqual(max(gaps), 1.5, gaps)
        self.assertLessEqual(len(gaps), 8 + 2 * slots)
        lines = [e for e in proxy.events() if e.get("event", "").startswith("worker.")]
        self.assertEqual({e["event"] for e in lines}, {"worker.died"}, "one line per attempt")
        self.assertEqual({e["status"] for e in proxy.events_named("worker.died")}, {"99"})
        self.assertIsNone(proxy.process.poll())
        self.assertEqual(proxy.stop(), 0)

    def test_the_only_worker_is_replaced_within_a_second_however_often_it_dies(self):
        proxy = self.start("freeze", 1, watchdog_timeout="60s")
        self.addCleanup(proxy.stop, signal.SIGINT)
        proxy.wait_for_event("master.ready")
        for _ in range(7):
            worker = wait_until(proxy.workers)[0]
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: worker not in proxy.workers(), what="the death")
            begun = time.monotonic()
            wait_until(proxy.workers, 1.5, "the next worker")
            self.assertLess(time.monotonic() - begun, 1.5)

    def test_a_place_waits_longer_while_another_serves(self):
        proxy = self.start("freeze", 2, watchdog_timeout="60s")
        self.addCleanup(proxy.stop, signal.SIGINT)
        proxy.wait_for_event("master.ready")
        stays = proxy.workers()[0]
        for _ in range(5):
            worker = wait_until(lambda: [w for w in proxy.workers() if w != stays], 5)[0]
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: worker not in proxy.workers(), what="the death")
        proxy.wait_for_event("worker.died", replaced="in 2s")

    def test_a_start_whose_workers_cannot_start_fails(self):
        proxy = self.start("cannot_start", 4)
        self.assertEqual(proxy.process.wait(20), 1)
        self.assertLessEqual(len(proxy.events_named("worker.died")), 4)
        self.assertEqual(len(proxy.events_named("master.start_failed")), 1)

    def test_a_generation_that_cannot_start_does_not_replace_the_old_one(self):
        proxy = self.start("freeze", 2, watchdog_timeout="60s")
        self.addCleanup(proxy.stop, signal.SIGINT)  # frozen workers do not react to SIGTERM
        proxy.wait_for_event("master.ready")
        workers = proxy.workers()
        for count, (fault, reason) in enumerate(
            (
                ("crash", "ended with status 99 before all were ready"),
                ("cannot_start", "ended with status 78 before all were ready"),
                ("refuse", "no such authority"),
                ("hang", "the new workers were not ready in time"),
                ("freeze", None),
            ),
            1,
        ):
            with self.subTest(fault):
                self.set_fault(fault)
                proxy.send_signal(signal.SIGHUP)
                if reason is None:
                    proxy.wait_for_event("reload.done")
                    continue
                wait_until(
                    lambda count=count: len(proxy.events_named("reload.failed")) == count, 20
                )
                failed = proxy.events_named("reload.failed")[-1]
                self.assertIn(reason, failed["reason"])
                self.assertEqual(failed["serving_generation"], "1")
                wait_until(lambda: proxy.workers() == workers, what="the new workers to exit")

    def test_a_frozen_worker_is_ended_with_sigabrt(self):
        proxy = self.start("freeze", 1, watchdog_timeout="2s")
        died = proxy.wait_for_event("worker.died", 20)
        self.assertEqual(died["signal"], "ABRT")
        stuck = proxy.wait_for_event("worker.stuck")
        self.assertEqual(stuck["worker"], died["worker"])
        wait_until(
            lambda: proxy.workers() and str(proxy.workers()[0]) != died["worker"],
            what="the replacement",
        )


if __name__ == "__main__":
    main()
