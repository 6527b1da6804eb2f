"""A static program in a root directory without anything else: no library, no /proc, no /etc."""

import os
import shutil
import subprocess
import tempfile
import unittest

from certificates import Authority
from harness import BINARY, Proxy, ProxyTest, main, yaml
from programs import is_static, put, put_bytes
from upstream import ok, playlist


@unittest.skipUnless(BINARY and is_static(BINARY), "the program is not static")
@unittest.skipUnless(os.geteuid() == 0, "only root can change the root directory")
class BareRoot(ProxyTest):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="streamgate-root-")
        self.addCleanup(shutil.rmtree, self.root)
        os.chmod(self.root, 0o755)
        self.program = os.path.join(self.root, "streamgate")
        put(BINARY, self.program)
        authority = Authority(self.root)
        self.upstream_tls = authority.issue("IP:127.0.0.1")
        # Executes chroot in its own process, so that the pid is the master's.
        self.starter = os.path.join(self.root, "start")
        put_bytes(f'#!/bin/sh\nexec chroot {self.root} /streamgate "$@"\n'.encode(), self.starter)

    def start(self, settings=None):
        text = yaml(
            {
                **Proxy.DEFAULTS,
                "user": "65534:65534",
                "pid_file": "/pid",
                "upstream": {"tls": {"ca_file": "/ca.pem"}},
                **(settings or {}),
            }
        )
        with open(os.path.join(self.root, "conf"), "w", encoding="ascii") as file:
            file.write(text)
        return self.own_proxy(binary=self.starter, arguments=["-c", "/conf"])

    def order(self, order):
        return subprocess.run(
            [self.starter, "-c", "/conf", "-s", order],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def test_it_plays_over_http_and_https(self):
        proxy = self.start()
        for tls in (None, self.upstream_tls):
            up = self.upstream(
                {"/a.m3u8": playlist("#EXTM3U\n#EXTINF:4,\na.ts\n"), "/a.ts": ok(b"media" * 99999)},
                tls=tls,
            )
            listed = proxy.stream(up.url("/a.m3u8"))
            self.assertEqual(listed.status, 200, listed)
            link = listed.body.decode().splitlines()[-1]
            self.assertTrue(link.startswith(proxy.origin + "/stream"), link)
            self.assertEqual(proxy.ask(link[len(proxy.origin) :]).body, b"media" * 99999)

    def test_hosts_in_any_script_need_no_locale(self):
        proxy = self.start()
        self.assert_error(proxy.stream("http://Bücher.localhost./"), 502, "dns_failed")
        self.assertIn("xn--bcher-kva.localhost", proxy.wait_for_access()["upstream"])

    def test_an_upgrade_keeps_a_stream(self):
        proxy = self.start()
        client, gate = self.stream_under_way(proxy)
        put(BINARY, self.program)
        done = self.order("reload")
        self.assertEqual(done.returncode, 0, done)
        proxy.wait_for_event("upgrade.done")
        self.assertIn("state=serving generation=2", self.order("status").stdout)
        self.finish_stream(client, gate)

    def test_a_program_that_needs_a_loader_is_refused(self):
        proxy = self.start()
        put("/bin/true", self.program)
        os.kill(proxy.process.pid, 1)
        refused = proxy.wait_for_event("upgrade.refused")
        self.assertIn("cannot be executed: No such file or directory", refused["reason"])
        self.assertEqual(proxy.ask("/health").status, 200)

    def test_users_and_groups_are_read_without_name_services(self):
        os.mkdir(os.path.join(self.root, "etc"))
        for name, text in (
            ("passwd", "root:x:0:0::/:/\nmedia:x:4321:4322::/:/\n"),
            ("group", "media:x:4322:\nkeys:x:4323:other,media\n"),
        ):
            with open(os.path.join(self.root, "etc", name), "w", encoding="ascii") as file:
                file.write(text)
        proxy = self.start({"user": "media"})
        (worker,) = proxy.workers()
        with open(f"/proc/{worker}/status", encoding="ascii") as file:
            lines = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        self.assertEqual(lines["Uid"].split(), ["4321"] * 4)
        self.assertEqual(lines["Gid"].split(), ["4322"] * 4)
        self.assertEqual(lines["Groups"].split(), ["4322", "4323"])


if __name__ == "__main__":
    main()
