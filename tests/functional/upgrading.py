"""For tests of upgrades."""

import os
import re
import tempfile

from harness import BINARY, ProxyTest, streamgate, wait_until
from programs import put


class Upgrading(ProxyTest):
    """A proxy that runs a copy of the program file."""

    def start(self, make=None, environment=None, **settings):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        self.program = os.path.join(folder.name, "streamgate")
        self.fault = os.path.join(folder.name, "fault")
        self.pid_file = os.path.join(folder.name, "pid")
        put(BINARY, self.program)
        proxy = (make or self.own_proxy)(
            {"pid_file": self.pid_file, **settings},
            binary=self.program,
            environment={"STREAMGATE_FAULT": self.fault, **(environment or {})},
        )
        wait_until(lambda: os.path.exists(self.pid_file + ".status"), what="the status file")
        return proxy

    def set_fault(self, name):
        with open(self.fault, "w", encoding="ascii") as file:
            file.write(name)

    def order(self, proxy, what):
        return streamgate("-c", proxy.config_file, "-s", what)

    def reload(self, proxy, sequence):
        done = self.order(proxy, "reload")
        self.assertEqual((done.returncode, done.stdout), (0, f"reload {sequence}: ok\n"), done)

    def refusal(self, proxy):
        """The reason of a failed reload."""
        done = self.order(proxy, "reload")
        self.assertEqual((done.returncode, done.stdout), (1, ""), done)
        return done.stderr

    def status(self, proxy):
        done = self.order(proxy, "status")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def version(self, proxy):
        return re.match(r"master pid=(\d+) version=(\S+) ", self.status(proxy)).group(2)

    def totals(self, proxy):
        line = next(x for x in self.status(proxy).split("\n") if x.startswith("total "))
        return {name: int(value) for name, value in (f.split("=") for f in line.split()[1:])}
