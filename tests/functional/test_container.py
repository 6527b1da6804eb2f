"""The service as the first process of a PID namespace, as in a container."""

import os
import shutil
import signal
import subprocess
import tempfile
import unittest

from harness import (
    BINARY,
    SANITIZER,
    Proxy,
    ProxyTest,
    children_of,
    main,
    parse_line,
    streamgate,
    wait_until,
    yaml,
)


@unittest.skipUnless(os.geteuid() == 0, "only root can make a PID namespace")
class FirstProcess(ProxyTest):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="streamgate-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)
        config = os.path.join(self.folder, "streamgate.yaml")
        self.config = os.path.join(self.folder, "bound.yaml")  # with the port that was chosen
        self.log = os.path.join(self.folder, "log")
        with open(config, "w", encoding="ascii") as file:
            file.write(yaml(Proxy.DEFAULTS))
        # Exits with the status of the first process.
        command = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
        with open(self.log, "wb") as log:
            self.unshare = subprocess.Popen(
                [*command, BINARY, "-c", config], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self.addCleanup(self.kill)
        address = self.wait_for_event("listener.bound")["address"]
        self.wait_for_event("master.ready")
        with open(self.config, "w", encoding="ascii") as file:
            file.write(yaml({**Proxy.DEFAULTS, "listen": address}))
        (self.master,) = children_of(self.unshare.pid)

    def kill(self):
        self.unshare.kill()
        self.unshare.wait()
        with open(self.log, encoding="utf-8") as file:
            self.assertIsNone(SANITIZER.search(file.read()))

    def events(self):
        with open(self.log, encoding="utf-8") as file:
            return [parse_line(line) for line in file.read().split("\n")[:-1]]

    def wait_for_event(self, event):
        def find():
            return next((e for e in self.events() if e.get("event") == event), None)

        return wait_until(find, 30, event)

    def check(self):
        return streamgate("healthcheck", "-c", self.config).returncode

    def test_it_is_the_first_process_and_healthy(self):
        with open(f"/proc/{self.master}/status", encoding="utf-8") as file:
            ids = next(line for line in file if line.startswith("NSpid:")).split()
        self.assertEqual(ids[-1], "1")
        self.assertEqual(self.check(), 0)

    def test_it_reloads(self):
        os.kill(self.master, signal.SIGHUP)
        self.wait_for_event("reload.done")
        self.assertEqual(self.check(), 0)

    def test_a_dead_worker_is_replaced_and_leaves_no_zombie(self):
        (worker,) = children_of(self.master)
        os.kill(worker, signal.SIGKILL)
        self.wait_for_event("worker.died")
        wait_until(lambda: worker not in children_of(self.master), what="the end of the worker")
        wait_until(lambda: self.check() == 0, what="the next worker")

    def test_an_orphan_that_it_inherits_leaves_no_zombie(self):
        # The shell ends at once, and its child is then the child of the first process.
        enter = ["nsenter", f"--pid=/proc/{self.master}/ns/pid", "sh", "-c", "sleep 0.2 &"]
        before = set(children_of(self.master))
        subprocess.run(enter, check=True, timeout=20, stdout=subprocess.DEVNULL)
        wait_until(lambda: set(children_of(self.master)) == before, what="the end of the orphan")

    def test_a_stop_ends_it_with_status_0(self):
        os.kill(self.master, signal.SIGTERM)
        self.assertEqual(self.unshare.wait(20), 0)


if __name__ == "__main__":
    main()
