"""The privileges of a worker, its core dumps, and the private keys in its memory."""

import os
import pwd
import re
import shutil
import signal
import unittest

from certificates import WithAuthority
from harness import ProxyTest, main, wait_until
from programs import NEXT, put
from upgrading import Upgrading

IS_ROOT = os.geteuid() == 0


def status_of(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return re.search(rf"^{name}:\s*(.*)$", file.read(), re.M)[1]


def core_limit(pid):
    """The soft limit."""
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        return re.search(r"^Max core file size +(\S+)", file.read(), re.M)[1]


# A sanitizer reserves terabytes; no mapping of the program itself is so large.
MAX_MAPPING = 1 << 30


def mappings_with(pid, text):
    """The VmFlags of each mapping of the process that holds `text`."""
    found = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        entries = re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", file.read())
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for entry in entries:
            span, access = entry.split()[:2]
            if not access.startswith("r") or "[v" in entry.split("\n", 1)[0]:
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            if end - start > MAX_MAPPING:
                continue
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except OSError:
                continue
            if text in content:
                found.append(re.search(r"^VmFlags: (.*)$", entry, re.M)[1].split())
    return found


class PrivilegesTest(WithAuthority, ProxyTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.certificate, cls.key = cls.authority.issue_files("IP:127.0.0.1", "first.test")
        cls.trusting = cls.authority.client_context()

    def tls_proxy(self, settings=None, key=None, **options):
        tls = {"certificate": self.certificate, "key": key or self.key}
        listen = {"listen": {"address": "127.0.0.1:0", "tls": tls}}
        options.setdefault("environment", {"ASAN_OPTIONS": "detect_leaks=0"})
        return self.own_proxy({**listen, **(settings or {})}, tls=self.trusting, **options)


class Workers(PrivilegesTest):
    def test_workers_cannot_gain_privileges_from_a_program_file(self):
        proxy = self.own_proxy({"workers": 2})
        for pid in proxy.workers():
            self.assertEqual(status_of(pid, "NoNewPrivs"), "1")
        # The master executes the program of an upgrade, which may need its file's capabilities.
        self.assertEqual(status_of(proxy.process.pid, "NoNewPrivs"), "0")

    @unittest.skipUnless(IS_ROOT, "only root can become another user")
    def test_workers_of_another_user_have_no_privileges_left(self):
        proxy = self.own_proxy(
            {"user": "nobody"}, environment={"ASAN_OPTIONS": "detect_leaks=0"}
        )
        nobody = pwd.getpwnam("nobody")
        (pid,) = proxy.workers()
        self.assertEqual(set(status_of(pid, "Uid").split()), {str(nobody.pw_uid)})
        self.assertEqual(set(status_of(pid, "Gid").split()), {str(nobody.pw_gid)})
        for kind in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
            self.assertEqual(int(status_of(pid, kind), 16), 0, kind)
        self.assertEqual(status_of(pid, "NoNewPrivs"), "1")
        self.assertEqual(proxy.ask("/health").status, 200)


class CoreDumps(PrivilegesTest):
    def check(self, proxy, allowed):
        for pid in proxy.workers():
            expected = core_limit(proxy.process.pid) if allowed else "0"
            self.assertEqual(core_limit(pid), expected)
            if proxy.settings["user"] == "nobody":
                # The kernel gives the files of a process that is not dumpable to root.
                owner = os.stat(f"/proc/{pid}/mem").st_uid
                self.assertEqual(owner, pwd.getpwnam("nobody").pw_uid if allowed else 0)

    def users(self):
        return ["nobody", "root"] if IS_ROOT else [pwd.getpwuid(os.geteuid()).pw_name]

    def test_workers_with_a_key_dump_no_core_unless_it_is_on(self):
        for user in self.users():
            proxy = self.tls_proxy({"user": user})
            self.check(proxy, False)
            self.check(self.tls_proxy({"user": user, "security": {"core_dumps": "on"}}), True)

    def test_workers_without_a_key_dump_core_unless_it_is_off(self):
        for user in self.users():
            proxy = self.own_proxy(
                {"user": user}, environment={"ASAN_OPTIONS": "detect_leaks=0"}
            )
            self.check(proxy, True)
            (before,) = proxy.workers()
            proxy.reload({"security": {"core_dumps": "off"}})
            proxy.wait_for_event("worker.left", worker=str(before))
            self.check(proxy, False)
            self.assertEqual(proxy.ask("/health").status, 200)


@unittest.skipUnless(IS_ROOT, "only root can read the memory of a process that is not dumpable")
class Keys(PrivilegesTest, Upgrading):
    def secret(self):
        """A part of the key's PEM text that no encoding changes: it finds encoded copies too."""
        with open(self.key, "rb") as file:
            lines = file.read().splitlines()[1:-1]
        return max(re.findall(b"[A-Za-z0-9]+", b" ".join(lines)), key=len)

    def check(self, proxy):
        self.assertEqual(proxy.ask("/health").status, 200)
        for pid in proxy.workers():
            self.assertEqual(mappings_with(pid, self.secret()), [], "the worker has the PEM text")

    def test_a_ready_worker_has_no_pem_text_and_the_master_has_it_outside_core_dumps(self):
        proxy = self.tls_proxy({"workers": 2})
        self.check(proxy)
        kept = mappings_with(proxy.process.pid, self.secret())
        self.assertEqual(len(kept), 1, "copies in the master")
        self.assertIn("dd", kept[0])  # MADV_DONTDUMP
        self.assertIn("lo", kept[0])  # locked

    def test_a_successor_has_the_key_although_its_file_is_gone(self):
        key = os.path.join(self.folder, "gone.key")
        shutil.copy(self.key, key)
        proxy = self.tls_proxy(key=key)
        os.unlink(key)
        before = proxy.workers()
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: proxy.workers() not in ([], before), what="a successor")
        wait_until(lambda: len(proxy.events_named("worker.ready")) == 2, what="a ready worker")
        self.check(proxy)

    def test_workers_of_a_program_that_took_over_have_no_pem_text(self):
        proxy = self.start(self.tls_proxy, environment={"ASAN_OPTIONS": "detect_leaks=0"})
        before = proxy.workers()
        put(NEXT, self.program)
        self.reload(proxy, 1)
        wait_until(lambda: not set(before) & set(proxy.workers()), what="the old workers' exit")
        self.check(proxy)


if __name__ == "__main__":
    main()
