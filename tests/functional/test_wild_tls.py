"""https upstreams that browsers accept and OpenSSL refuses by default. tests/README.md names the
public reports."""

import os
import shutil
import ssl
import subprocess
import tempfile
import unittest

from certificates import WithAuthority
from harness import ProxyTest, main
from name_server import NameServer, can_mount, proxy_with_names
from upstream import ok


@unittest.skipUnless(can_mount(), "this user cannot mount an /etc/resolv.conf for the proxy")
class Underscores(WithAuthority, ProxyTest):
    def setUp(self):
        folder = tempfile.mkdtemp(prefix="streamgate-names-")
        self.addCleanup(shutil.rmtree, folder, True)
        names = NameServer(lambda question: question.answer(v4=["127.0.0.1"]))
        self.addCleanup(names.stop)
        tls = {"ca_file": self.authority.certificate}
        self.names_proxy = self.adopt(
            proxy_with_names(folder, names.line, {"upstream": {"tls": tls}})
        )

    def ask(self, host, *names):
        up = self.upstream(ok(b"hello"), tls=self.authority.issue(*names))
        return self.names_proxy.stream(up.url(host=host))

    def test_a_wildcard_covers_a_label_with_underscores(self):
        for host, name in (
            ("2408_8730_300_4.cdn.test", "*.cdn.test"),
            ("_a.cdn.test", "*.cdn.test"),
            ("edge.a_b.cdn.test", "*.a_b.cdn.test"),
            ("a_b.cdn.test", "a_b.cdn.test"),
        ):
            self.assertEqual(self.ask(host, name).body, b"hello", host)

    def test_a_wildcard_still_covers_one_label_of_its_domain(self):
        for host, name in (
            ("a_b.cdn.test", "a-b.cdn.test"),
            ("a_b.cdn.test", "x_y.cdn.test"),
            ("x.a_b.cdn.test", "*.cdn.test"),
            ("a_b.cdn.test", "*.other.test"),
            ("a_b.cdn.test", "a*.cdn.test"),
            ("a_b.test", "*.test"),
        ):
            self.assert_error(self.ask(host, name), 502, "tls_failed")


class Ciphers(WithAuthority, ProxyTest):
    def test_an_old_server_may_have_a_small_dhe_group(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder, True)
        group = os.path.join(folder, "dh.pem")
        subprocess.run(
            ["openssl", "dhparam", "-dsaparam", "-out", group, "1024"],
            check=True, capture_output=True,
        )
        proxy = self.proxy(upstream={"tls": {"ca_file": self.authority.certificate}})
        for version, ciphers in (
            (ssl.TLSVersion.TLSv1, "DHE-RSA-AES256-SHA:AES256-SHA"),
            (ssl.TLSVersion.TLSv1_2, "DHE-RSA-AES256-SHA:AES256-SHA"),
            (ssl.TLSVersion.TLSv1_2, "DHE-RSA-AES256-GCM-SHA384"),
        ):
            context = self.authority.issue("IP:127.0.0.1", key=("rsa:2048",))
            context.minimum_version = context.maximum_version = version
            context.set_ciphers(ciphers + ":@SECLEVEL=0")
            context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
            context.load_dh_params(group)
            up = self.upstream(ok(b"old"), tls=context)
            self.assertEqual(proxy.stream(up.url()).body, b"old", version)


if __name__ == "__main__":
    main()
