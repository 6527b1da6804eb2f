"""upstream.hosts: settings for single upstream hosts."""

import re
import tempfile
import unittest

from certificates import WithAuthority
from harness import ProxyTest, main, streamgate
from upstream import Answer, ok, redirect


class Hosts(ProxyTest):
    settings = {"security": {"allow_private": ["loopback"]}}

    def test_a_host_has_headers_and_those_of_a_link_win(self):
        proxy = self.proxy(
            upstream={
                "user_agent": "Global/1",
                "hosts": {
                    "localhost": {
                        "user_agent": "Host/1",
                        "referer": "https://page.example/",
                        "origin": "none",
                        "headers": {"X-Key": "abc", "Accept": "video/mp2t", "Cookie": "a=b"},
                    }
                },
            }
        )
        up = self.upstream(ok(b"x"))
        proxy.stream(up.url(host="localhost"), {"Accept": "text/plain"})
        request = up.requests[0]
        self.assertEqual(request["User-Agent"], "Host/1")
        self.assertEqual(request["Referer"], "https://page.example/")
        self.assertIsNone(request["Origin"])
        self.assertEqual(request["X-Key"], "abc")
        self.assertEqual(request["Accept"], "video/mp2t")
        self.assertEqual(request["Cookie"], "a=b")
        proxy.stream(
            up.url(host="localhost"),
            **{"h_X-Key": "mine", "h_User-Agent": "Link/1", "referer": "http://r.example/"},
        )
        request = up.requests[1]
        self.assertEqual(
            (request["X-Key"], request["User-Agent"], request["Referer"]),
            ("mine", "Link/1", "http://r.example/"),
        )
        proxy.stream(up.url())
        third = up.requests[2]
        self.assertEqual((third["User-Agent"], third["X-Key"]), ("Global/1", None))

    def test_a_host_may_get_the_fields_of_the_client(self):
        client = {name: "client" for name in ("user_agent", "referer", "origin")}
        proxy = self.proxy(upstream={"user_agent": "Global/1", "hosts": {"localhost": client}})
        up = self.upstream(ok(b"x"))
        fields = {
            "User-Agent": "Mine/1", "Referer": "http://p.example/a", "Origin": "http://p.example"
        }
        for host in ("localhost", "127.0.0.1"):
            proxy.stream(up.url(host=host), fields)
        first, second = up.requests
        self.assertEqual({name: first[name] for name in fields}, fields)
        self.assertEqual(second["User-Agent"], "Global/1")
        self.assertNotEqual(second["Referer"], fields["Referer"])

    def test_each_hop_has_the_settings_of_its_host(self):
        proxy = self.proxy(
            upstream={
                "hosts": {
                    "localhost": {"headers": {"X-Key": "secret"}, "user_agent": "Gate/1"},
                    "127.0.0.1": {"headers": {"X-Other": "b"}},
                }
            }
        )
        up = self.upstream(ok(b"x"))
        gate = self.upstream(redirect(up.url()))
        self.assertEqual(proxy.stream(gate.url(host="localhost")).body, b"x")
        self.assertEqual(
            (gate.requests[0]["X-Key"], gate.requests[0]["User-Agent"]), ("secret", "Gate/1")
        )
        self.assertEqual((up.requests[0]["X-Key"], up.requests[0]["X-Other"]), (None, "b"))
        self.assertNotEqual(up.requests[0]["User-Agent"], "Gate/1")

    def test_a_port_makes_a_pattern_more_specific(self):
        up = self.upstream(ok(b"x"))
        other = self.upstream(ok(b"x"))
        proxy = self.proxy(
            upstream={
                "hosts": {
                    f"*:{up.port}": {"headers": {"X-A": "port", "X-B": "port"}},
                    "127.0.0.0/8": {"headers": {"X-A": "block", "X-C": "block"}},
                    f"127.0.0.1:{up.port}": {"headers": {"X-C": "address and port"}},
                }
            }
        )
        proxy.stream(up.url())
        proxy.stream(other.url())
        seen = [[r[n] for n in ("X-A", "X-B", "X-C")] for r in (up.requests[0], other.requests[0])]
        self.assertEqual(seen, [["block", "port", "address and port"], ["block", None, "block"]])

    def test_a_host_has_its_own_first_byte_timeout(self):
        proxy = self.proxy(
            upstream={
                "first_byte_timeout": "30s",
                "hosts": {"localhost": {"first_byte_timeout": "300ms"}},
            }
        )
        up = self.upstream(Answer(b"", then="stall"))
        response = proxy.stream(up.url(host="localhost"))
        self.assert_error(response, 504, "first_byte_timeout")
        slow = self.upstream(Answer(ok(b"late").data, delay=0.8))
        self.assertEqual(proxy.stream(slow.url()).body, b"late")


class HostsTls(WithAuthority, ProxyTest):
    settings = {"security": {"allow_private": ["loopback"]}}

    def serve(self):
        names = ("localhost", "IP:127.0.0.1")
        return self.upstream(ok(b"secret"), tls=self.authority.issue(*names))

    def test_a_ca_file_holds_for_its_host_only(self):
        proxy = self.proxy(
            upstream={"hosts": {"localhost": {"ca_file": self.authority.certificate}}}
        )
        up = self.serve()
        self.assertEqual(proxy.stream(up.url(host="localhost")).body, b"secret")
        self.assert_error(proxy.stream(up.url()), 502, "tls_failed")
        self.assertEqual(proxy.stream(up.url(host="localhost")).body, b"secret")
        self.assertEqual(len(up.requests), 2)

    def test_verify_may_be_off_for_a_host_and_on_again_for_a_more_specific_one(self):
        up, strict = self.serve(), self.serve()
        proxy = self.proxy(
            upstream={
                "hosts": {
                    "127.0.0.0/8": {"verify": False},
                    f"127.0.0.1:{strict.port}": {"verify": True},
                }
            }
        )
        self.assertEqual(proxy.stream(up.url()).body, b"secret")
        self.assert_error(proxy.stream(strict.url()), 502, "tls_failed")
        self.assert_error(proxy.stream(up.url(host="localhost")), 502, "tls_failed")

    def test_insecure_hosts_still_works_with_a_warning(self):
        proxy = self.own_proxy({"upstream": {"tls": {"insecure_hosts": ["localhost"]}}})
        up = self.serve()
        self.assertEqual(proxy.stream(up.url(host="localhost")).body, b"secret")
        self.assert_error(proxy.stream(up.url()), 502, "tls_failed")
        self.assertIn("insecure_hosts", proxy.wait_for_event("config.warning")["warning"])
        checked = streamgate("--check", "-c", proxy.config_file)
        self.assertEqual(checked.returncode, 0)
        self.assertIn("upstream.tls.insecure_hosts: is an old key", checked.stderr)

    def test_a_row_of_hosts_wins_over_insecure_hosts(self):
        proxy = self.proxy(
            upstream={
                "tls": {"insecure_hosts": ["localhost"]},
                "hosts": {"localhost": {"verify": True}},
            }
        )
        self.assert_error(proxy.stream(self.serve().url(host="localhost")), 502, "tls_failed")


class Configuration(unittest.TestCase):
    def problem_of(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            checked = streamgate("--check", "-c", file.name)
        self.assertEqual(checked.returncode, 1, text)
        self.assertEqual(checked.stderr.count("\n"), 1, checked.stderr)
        return checked.stderr.split(".yaml:")[-1].strip()

    def test_each_mistake_is_named_with_its_line(self):
        cases = {
            "nonsense: 1": "4: upstream.hosts.a.example.nonsense: is not a known setting",
            'verify: perhaps': "4: upstream.hosts.a.example.verify: 'perhaps' is neither",
            'verify: [true]': "4: upstream.hosts.a.example.verify: takes one value",
            'verify:': "4: upstream.hosts.a.example.verify: needs a value",
            'user_agent: target': "4: upstream.hosts.a.example.user_agent: 'target' is not allowed",
            'ca_file: relative.pem': "4: upstream.hosts.a.example.ca_file: ",
            'ca_file: /no/such.pem': "/no/such.pem",
            'first_byte_timeout: 0s': "4: upstream.hosts.a.example.first_byte_timeout: 0s is out",
            'reconnect: sometimes': "4: upstream.hosts.a.example.reconnect: 'sometimes' is not one",
            'proxy: ftp://a:1': "4: upstream.hosts.a.example.proxy: is not a proxy",
            'proxy: socks5h://a:1': "2: upstream.hosts.a.example: the proxy resolves names",
            'resolve: remote': "2: upstream.hosts.a.example: `resolve: remote` needs a proxy",
            'headers: {Host: a}': "4: upstream.hosts.a.example.headers.Host: is a header that",
            'headers: {X-Forwarded-For: a}': "headers.X-Forwarded-For: is a header that",
            'headers: {User-Agent: a}': "has a setting of its own: user_agent",
            'headers: {"a b": a}': "is not the name of a header",
            'headers: {A: "b\\nC: d"}': "4: upstream.hosts.a.example.headers.A: needs a value of",
            'headers: {A: b, a: c}': "4: upstream.hosts.a.example.headers.a: is set twice",
            'headers: x': "4: upstream.hosts.a.example.headers: needs names and values",
        }
        for setting, problem in cases.items():
            with self.subTest(setting=setting):
                found = self.problem_of(f"upstream:\n  hosts:\n    a.example:\n      {setting}\n")
                self.assertIn(problem, found)

    def test_patterns(self):
        for pattern, problem in {
            '"a/b"': "3: upstream.hosts: 'a/b' is not a host",
            '"*"': "3: upstream.hosts: '*' is not a host",
            '"a.example:0"': "3: upstream.hosts: 'a.example:0' is not a host",
        }.items():
            text = f"upstream:\n  hosts:\n    {pattern}: {{verify: false}}\n"
            self.assertIn(problem, self.problem_of(text))
        twice = "upstream:\n  hosts:\n    a.b: {verify: false}\n    A.b: {verify: true}\n"
        self.assertIn("4: upstream.hosts.A.b: is set twice", self.problem_of(twice))
        problem = self.problem_of("upstream:\n  hosts:\n    a.b: 1\n")
        self.assertIn("3: upstream.hosts.a.b: needs settings", problem)

    def test_the_effective_configuration_can_be_read_again(self):
        text = (
            'upstream: {hosts: {"*.a.example:8080": {user_agent: client, referer: none, origin: x,'
            ' headers: {A: "b: c", B: ""}, proxy: "http://u:p%3A@[::1]:3128", resolve: local,'
            ' verify: false, ca_file: "", reconnect: never, first_byte_timeout: 1500ms},'
            " 10.0.0.0/8: {proxy: none}}}\n"
        )
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            printed = streamgate("--print-config", "-c", file.name)
            self.assertEqual(printed.returncode, 0, printed.stderr)
            file.seek(0)
            file.truncate()
            file.write(printed.stdout)
            file.flush()
            again = streamgate("--print-config", "-c", file.name).stdout
            # The comments name the origins of the values.
            values, values_again = (re.sub("(?m)^ *#.*\n", "", x) for x in (printed.stdout, again))
            self.assertEqual(values_again, values)
        self.assertIn('proxy: "http://u:p%3A@[::1]:3128"', printed.stdout)


if __name__ == "__main__":
    main()
