"""The front of several machines, as deploy/RECIPES.md has it: each stream has its machine, and a
machine that fails or reloads costs no request that can be repeated."""

import os
import shutil
import signal
import sys
import threading
import unittest
from collections import defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("functional", "clients"):
    sys.path.insert(0, os.path.join(HERE, "..", folder))

from fronts import FrontTest  # noqa: E402
from harness import Proxy, children_of, closed_port, main, stream_path, wait_until  # noqa: E402
from recipes import blocks  # noqa: E402
from upstream import ok  # noqa: E402

STREAMS = 24
VIEWERS = 4


class Load:
    """Viewers that ask for all streams, again and again, through the front at `port`."""

    def __init__(self, ask, port, targets):
        self.ask, self.port, self.targets = ask, port, targets
        self.answers = 0
        self.failures = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._view, args=(i,)) for i in range(VIEWERS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _view(self, viewer):
        at = viewer * len(self.targets) // VIEWERS
        while not self._end.is_set():
            target = self.targets[at % len(self.targets)]
            at += 1
            try:
                status = self.ask(self.port, target).status
            except (OSError, AssertionError) as problem:
                status = repr(problem)
            self.answers += 1
            if status != 200:
                self.failures.append((target, status))

    def wait_for_answers(self, count):
        end = self.answers + count
        wait_until(lambda: self.answers >= end or self.failures, 30, f"{count} answers")


class SeveralMachines(FrontTest):
    def machines(self, text):
        """Three proxies with caches, and `text` with their ports."""
        settings = {"loop_id": "same", "cache": {"memory": "64MiB"}}
        found = [self.own_proxy(settings) for _ in range(2)]
        found.insert(1, Proxy({**self.settings, **settings}))
        self.addCleanup(found[1].remove)  # killed by check()
        for i, machine in enumerate(found):
            text = text.replace(f"127.0.0.1:{8080 + i}", f"127.0.0.1:{machine.port}")
        return found, text

    @staticmethod
    def block(language):
        (found,) = [
            b for b in blocks("deploy/RECIPES.md")
            if b.heading == "Several machines" and b.language == language
        ]
        return found.text

    @unittest.skipUnless(shutil.which("haproxy", path="/usr/sbin:/usr/bin"), "needs HAProxy")
    def test_haproxy(self):
        port, cwd = closed_port(), self.scratch()
        machines, text = self.machines(self.block("haproxy"))
        text = text.replace("bind :80", f"bind 127.0.0.1:{port}")
        self.front("/usr/sbin/haproxy", ["-db", "-f"], port, text, cwd)
        before = self.check(port, machines)
        of_query = {url: place for (route, url), place in before.items() if route == "/stream"}
        of_path = {url: place for (route, url), place in before.items() if route != "/stream"}
        self.assertEqual(of_query, of_path)

    @unittest.skipUnless(shutil.which("nginx", path="/usr/sbin:/usr/bin"), "needs nginx")
    def test_nginx(self):
        port, cwd = closed_port(), self.scratch()
        machines, text = self.machines(self.block("nginx"))
        text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
        self.nginx(text, port, cwd)
        self.check(port, machines)

    def check(self, port, machines):
        up = self.upstream(lambda request: ok(b"x" * 1000, {"Cache-Control": "max-age=600"}))
        urls = [up.url(f"/live/{i}/index.ts?channel={i}") for i in range(STREAMS)]
        targets = [
            stream_path(url, referer=f"http://viewer{i}.test/") for i, url in enumerate(urls)
        ]
        targets += [f"/at/-/{url.replace('://', '/')}" for url in urls]
        for target in targets:
            self.assertEqual(self.ask_front(port, target).status, 200, target)
        before = self.places(machines, len(targets))
        self.assert_hits(port, targets, up)
        self.assertEqual(len(up.requests), len(targets))
        self.assertEqual({len(of_url) for of_url in before.values()}, {1}, before)
        self.assertEqual(len(set.union(*before.values())), 3, "a machine has no stream")
        with Load(self.ask_front, port, targets) as load:
            load.wait_for_answers(100)
            machines[0].send_signal(signal.SIGHUP)
            machines[0].wait_for_event("reload.done")
            load.wait_for_answers(100)
            self.kill_all(machines[1])
            load.wait_for_answers(200)
        self.assertEqual(load.failures, [])
        for machine in machines:
            if machine is not machines[1]:
                machine.mark()
        for target in targets:
            self.assertEqual(self.ask_front(port, target).status, 200, target)
        after = self.places([machines[0], None, machines[2]], len(targets))
        self.assert_hits(port, targets, up)
        moved = {link for link in before if before[link] != after[link]}
        self.assertEqual(moved, {link for link in before if before[link] == {1}})
        return before

    def assert_hits(self, port, targets, up):
        """All machines together have the hits that one would have. Shortly after a failure HAProxy
        may still choose another machine than later."""

        def are_hits():
            return all(
                self.ask_front(port, target)["X-Streamgate-Cache"] == "hit" for target in targets
            )

        wait_until(are_hits)
        requests = len(up.requests)
        self.assertTrue(are_hits())
        self.assertEqual(len(up.requests), requests)

    @staticmethod
    def kill_all(machine):
        """As a machine without power: master and workers at once."""
        workers = children_of(machine.process.pid)
        machine.kill()
        for worker in workers:
            os.kill(worker, signal.SIGKILL)

    @staticmethod
    def places(machines, count):
        """The numbers of the machines that each link came to."""

        def logged():
            lines = [
                ((entry["route"], entry["upstream"]), i)
                for i, machine in enumerate(machines)
                if machine
                for entry in machine.access_log()
                if "upstream" in entry
            ]
            return lines if len(lines) >= count else None

        found = defaultdict(set)
        for link, place in wait_until(logged):
            found[link].add(place)
        return found


if __name__ == "__main__":
    main()
