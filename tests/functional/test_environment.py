"""Configuration by environment, and the certificate authorities of the system."""

import os
import shutil
import stat
import tempfile
import unittest

from certificates import Authority
from harness import BINARY, Proxy, ProxyTest, main, streamgate
from name_server import UNSHARE_FLAGS, can_mount
from upstream import ok

# Hides OpenSSL's and the distribution's certificates. $BUNDLE is then the only one; empty: none.
WITHOUT_AUTHORITIES = """#!/bin/sh
if [ -z "$INSIDE" ]; then
  INSIDE=1 exec unshare {flags} "$0" "$@"
fi
mount -t tmpfs none /usr/lib/ssl && mount -t tmpfs none /etc/ssl || exit 1
if [ -n "$BUNDLE" ]; then
  mkdir -p /etc/ssl/certs && cp "$BUNDLE" /etc/ssl/certs/ca-certificates.crt || exit 1
fi
exec {binary} "$@"
"""


class Environment(ProxyTest):
    def file(self, text):
        folder = tempfile.mkdtemp(prefix="streamgate-environment-")
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "c.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_variables_win_over_the_file_and_print_config_names_the_origins(self):
        path = self.file("workers: 2\nuser: root\nlog: {level: '${LEVEL:-warn}'}\n")
        environment = {"STREAMGATE_WORKERS": "3", "STREAMGATE_SECURITY_PORTS": "22, 25"}
        done = streamgate("--print-config", "-c", path, environment=environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for line in (
            "\n# STREAMGATE_WORKERS\nworkers: 3\n",
            f"\n# {path}:2\nuser: root\n",
            "\n  # STREAMGATE_SECURITY_PORTS\n  ports: [22, 25]\n",
            f"\n  # {path}:3\n  level: warn\n",
            "\n# default\nclient_address: peer\n",
        ):
            self.assertIn(line, done.stdout)
        again = streamgate("--print-config", "-c", self.file(done.stdout))
        self.assertIn("\nworkers: 3\n", again.stdout)

    def test_a_wrong_variable_is_named(self):
        done = streamgate("--check", environment={"STREAMGATE_DRAIN_IDLE": "5"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("STREAMGATE_DRAIN_IDLE: drain.idle: ", done.stderr)

    def test_an_unset_variable_is_a_problem_with_its_line(self):
        done = streamgate("--check", "-c", self.file("user: root\nworkers: ${NOT_SET}\n"))
        self.assertEqual(done.returncode, 1)
        self.assertIn(":2: workers: the environment variable NOT_SET is not set", done.stderr)

    def test_variables_of_kubernetes_change_nothing(self):
        environment = {
            "STREAMGATE_PORT": "tcp://10.0.0.1:80",
            "STREAMGATE_SERVICE_HOST": "10.0.0.1",
            "STREAMGATE_PORT_80_TCP_ADDR": "10.0.0.1",
        }
        proxy = self.own_proxy(environment=environment)
        warnings = [e["warning"] for e in proxy.events_named("config.warning")]
        self.assertEqual(sorted(w.split(":")[0] for w in warnings), sorted(environment))
        self.assertEqual(proxy.ask("/health").status, 200)
        printed = streamgate("--print-config", environment=environment).stdout
        self.assertEqual(printed, streamgate("--print-config").stdout)

    def test_secrets_from_the_environment_are_printed_nowhere(self):
        text = "upstream: {proxy: 'http://user:${PROXY_PASSWORD}@127.0.0.1:1'}\n"
        environment = {
            "PROXY_PASSWORD": "hunter2",
            "STREAMGATE_UPSTREAM_USER_AGENT": "hunter2",
            "STREAMGATE_UPSTREAM_HOSTS": "{a.example: {headers: {X-Key: hunter2}}}",
        }
        done = streamgate("--print-config", "-c", self.file(text), environment=environment)
        self.assertEqual(done.returncode, 0)
        self.assertIn("${PROXY_PASSWORD}", done.stdout)
        self.assertNotIn("hunter2", done.stdout + done.stderr)
        environment["STREAMGATE_UPSTREAM_PROXY"] = "hunter2"
        done = streamgate("--check", environment=environment)
        self.assertIn("STREAMGATE_UPSTREAM_PROXY: ", done.stderr)
        self.assertNotIn("hunter2", done.stdout + done.stderr)

    def test_a_reload_reads_the_file_with_the_variables_of_the_start(self):
        settings = {**Proxy.DEFAULTS, "log": {"level": "${LEVEL}"}}
        proxy = self.own_proxy(settings, environment={"LEVEL": "debug", "STREAMGATE_WORKERS": "2"})
        self.assertEqual(len(proxy.events_named("worker.ready")), 2)
        proxy.mark()
        proxy.reload({**settings, "workers": 5})
        done = proxy.wait_for_event("reload.done")
        self.assertEqual(done["workers"], "2")
        # At `info` there would be no such event.
        self.assertTrue(proxy.events_named("worker.started"))

    def test_a_tab_is_named_as_a_tab(self):
        done = streamgate("--check", "-c", self.file("drain:\n\tidle: 5s\n"))
        self.assertEqual(done.returncode, 1)
        self.assertIn(":2: is indented with a tab", done.stderr)


class Authorities(ProxyTest):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="streamgate-ca-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)
        self.authority = Authority(self.folder)
        self.up = self.upstream(ok(b"secret"), tls=self.authority.issue("localhost"))

    def stream(self, environment, **options):
        proxy = self.own_proxy(environment=environment, **options)
        return proxy, proxy.stream(self.up.url(host="localhost"))

    def test_ssl_cert_file_replaces_the_authorities_of_the_system(self):
        _, response = self.stream({"SSL_CERT_FILE": self.authority.certificate})
        self.assertEqual(response.body, b"secret")

    def test_without_authorities_the_detail_says_so(self):
        none = {"SSL_CERT_FILE": "/dev/null", "SSL_CERT_DIR": "/nonexistent"}
        proxy, response = self.stream(none)
        self.assert_error(response, 502, "tls_failed")
        proxy.wait_for_access(1)
        self.assertIn("no certificate authorities were found", proxy.access_log()[-1]["detail"])

    def test_with_authorities_the_detail_does_not_say_so(self):
        other = Authority(tempfile.mkdtemp(dir=self.folder), "Another CA")
        proxy, response = self.stream({"SSL_CERT_FILE": other.certificate})
        self.assert_error(response, 502, "tls_failed")
        proxy.wait_for_access(1)
        self.assertNotIn("no certificate authorities", proxy.access_log()[-1]["detail"])

    @unittest.skipUnless(can_mount(), "needs a mount namespace")
    def test_the_bundle_of_the_distribution_is_found(self):
        wrapper = os.path.join(self.folder, "streamgate")
        with open(wrapper, "w", encoding="ascii") as file:
            file.write(WITHOUT_AUTHORITIES.format(flags=UNSHARE_FLAGS, binary=BINARY))
        os.chmod(wrapper, stat.S_IRWXU)
        _, found = self.stream(
            {"BUNDLE": self.authority.certificate}, binary=wrapper, settings={"user": "root"}
        )
        self.assertEqual(found.body, b"secret")


if __name__ == "__main__":
    main()
