"""A worker that is killed, crashes or freezes under load loses its own streams and no others."""

import os
import signal
import threading
import time

from harness import ProxyTest, log_time, main, wait_until
from http_client import BadAnswer
from upstream import Answer, ok

STREAMS = 16  # more than one worker accepts before it pauses for the other
PIECE = b"\x47" * 188
PIECES = 300


class Viewers:
    """Clients with long streams, and clients that repeat a short request until stop()."""

    def __init__(self, proxy, stream_url, short_url):
        self.proxy, self.stream_url, self.short_url = proxy, stream_url, short_url
        self.over = threading.Event()
        self.streams, self.failed_at, self.served = [], [], 0
        self.threads = [threading.Thread(target=self.watch) for _ in range(STREAMS)]
        self.threads += [threading.Thread(target=self.ask) for _ in range(4)]
        for thread in self.threads:
            thread.start()

    def watch(self):
        response = self.proxy.stream(self.stream_url)
        self.streams.append(response is not None and response.body == PIECE * PIECES)

    def ask(self):
        while not self.over.is_set():
            begun = time.monotonic()
            try:
                response = self.proxy.stream(self.short_url)
                good = response is not None and response.complete and response.body == b"short"
            except (OSError, BadAnswer):
                good = False
            if not good:
                self.failed_at.append(begun)
            self.served += 1

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


def is_stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


class UnderLoad(ProxyTest):
    def check_the_loss(self, number, has_taken_effect):
        """Sends the signal to one of two workers; checks the loss and the replacement."""
        up = self.upstream(
            {
                "/stream.ts": Answer(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(PIECE) * PIECES),
                    body=lambda: self.pieces(),
                ),
                "/short.ts": ok(b"short"),
            }
        )
        self.go_on = threading.Event()
        self.addCleanup(self.go_on.set)
        proxy = self.own_proxy(
            {"workers": 2, "watchdog_timeout": "2s", "log": {"level": "debug"}},
            # Without this, a sanitizer reports the SIGSEGV that the test sends.
            environment={"ASAN_OPTIONS": "handle_segv=0"},
        )
        before = wait_until(lambda: len(proxy.workers()) == 2 and proxy.workers())
        viewers = Viewers(proxy, up.url("/stream.ts"), up.url("/short.ts"))
        self.addCleanup(viewers.stop)
        wait_until(lambda: len(up.requests) > STREAMS + 50, what="the load")
        os.kill(before[0], number)
        wait_until(lambda: has_taken_effect(before[0]))
        since = time.monotonic()
        died = proxy.wait_for_event("worker.died", 15, worker=str(before[0]))
        served = viewers.served
        wait_until(lambda: viewers.served > served + 50, what="the load to go on")
        self.go_on.set()
        viewers.stop()
        # Only streams of that worker are cut. It also lost short requests under way.
        cut = viewers.streams.count(False)
        self.assertEqual(len(viewers.streams), STREAMS)
        self.assertGreater(cut, 0)
        self.assertLess(cut, STREAMS)
        self.assertLessEqual(cut, int(died["exchanges_lost"]))
        # Requests begun after the death are served. Before it, each client loses at most one.
        self.assertEqual([begun for begun in viewers.failed_at if begun > since], [])
        self.assertLessEqual(len(viewers.failed_at), 4)
        self.assertIn(before[1], proxy.workers())
        replaced = [
            entry
            for entry in proxy.events_named("worker.started")
            if entry["worker"] not in map(str, before)
        ]
        gap = log_time(replaced[0]) - log_time(died)
        print(f"{cut} of {STREAMS} streams cut, {1000 * gap:.0f} ms from death to fork", end=" ")
        # The goal is 100 ms. The limit leaves room for a fork under a sanitizer on a busy machine.
        self.assertLess(gap, 0.5)

    def pieces(self):
        for i in range(PIECES):
            if i == PIECES - 1:
                self.go_on.wait(30)  # no stream ends before the death
            yield PIECE

    def test_a_killed_worker_costs_only_its_own_streams(self):
        self.check_the_loss(signal.SIGKILL, lambda pid: not os.path.exists(f"/proc/{pid}"))

    def test_a_crashed_worker_costs_only_its_own_streams(self):
        self.check_the_loss(signal.SIGSEGV, lambda pid: not os.path.exists(f"/proc/{pid}"))

    def test_a_frozen_worker_costs_only_its_own_streams(self):
        self.check_the_loss(
            signal.SIGSTOP, lambda pid: not os.path.exists(f"/proc/{pid}") or is_stopped(pid)
        )


if __name__ == "__main__":
    main()
