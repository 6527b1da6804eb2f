"""Confined workers: what an attacker's code could not do, and what a worker still does."""

import ctypes
import errno
import os
import re
import tempfile
import unittest

from harness import BINARY, Proxy, ProxyTest, main, wait_until
from programs import FAULTY

EPERM, EACCES = str(errno.EPERM), str(errno.EACCES)


def has_sanitizer():
    with open(BINARY, "rb") as file:
        return b"__asan_init" in file.read()


def seccomp_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return re.search(r"^Seccomp:\s*(\d)$", file.read(), re.M)[1]


def has_landlock():
    """Asks for the version of landlock_create_ruleset (444 on every architecture)."""
    return ctypes.CDLL(None, use_errno=True).syscall(444, None, ctypes.c_size_t(0), 1) > 0


class Attack(ProxyTest):
    """A worker that tries what the code of an attacker would."""

    def attack(self, confine):
        """Returns the proxy, and for each attempt `done` or its error number."""
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        fault = os.path.join(folder.name, "fault")
        with open(fault, "w", encoding="ascii") as file:
            file.write("attack")
        proxy = Proxy(
            {"security": {"confine": confine}},
            binary=FAULTY,
            environment={"STREAMGATE_FAULT": fault},
        )
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.kill)
        wait_until(lambda: "attempt end done\n" in proxy.log(), what="the last attempt")
        return proxy, dict(re.findall(r"^attempt (\S+) (\S+)$", proxy.log(), re.M))

    @unittest.skipIf(has_sanitizer() and not has_landlock(), "nothing would be confined")
    def test_programs_processes_and_other_processes_are_refused_by_name(self):
        proxy, outcomes = self.attack("on" if has_landlock() else "auto")
        for attempt in ("execve", "fork", "ptrace", "kill", "prlimit", "setpriority", "socket"):
            self.assertEqual(outcomes[attempt], EPERM, attempt)
        self.assertEqual(outcomes["getrlimit"], "done")
        self.assertEqual(
            [event["call"] for event in proxy.events_named("worker.call_refused")],
            ["execve", "clone", "ptrace", "kill", "prlimit64", "setpriority", "socket"],
            "once for each call",
        )
        self.assertIsNone(proxy.process.poll())
        self.assertEqual(proxy.events_named("worker.died"), [])

    @unittest.skipUnless(has_landlock(), "the kernel has no Landlock")
    def test_files_that_no_worker_needs_are_refused(self):
        _, outcomes = self.attack("on")
        self.assertEqual((outcomes["open"], outcomes["create"]), (EACCES, EACCES))
        self.assertEqual(outcomes["resolv.conf"], "done")


class Confined(ProxyTest):
    def test_workers_are_confined_by_default_and_the_master_is_not(self):
        proxy = self.own_proxy()
        self.assertEqual(seccomp_of(proxy.workers()[0]), "0" if has_sanitizer() else "2")
        self.assertEqual(seccomp_of(proxy.process.pid), "0")
        proxy.reload({"security": {**Proxy.DEFAULTS["security"], "confine": "off"}})
        proxy.wait_for_event("worker.left")
        self.assertEqual(seccomp_of(proxy.workers()[0]), "0")


if __name__ == "__main__":
    main()
