"""Names of upstreams: scripted name servers on UDP and TCP, silent, failing and hostile ones."""

import os
import random
import shutil
import signal
import socket
import struct
import tempfile
import threading
import time
import unittest

from harness import ProxyTest, main, stream_path, wait_until
from http_client import Client
from name_server import (
    AAAA,
    CNAME,
    FORMERR,
    NXDOMAIN,
    QUESTION_NAME,
    REFUSED,
    SERVFAIL,
    A,
    NameServer,
    Zone,
    can_mount,
    encode_name,
    proxy_with_names,
    record,
    write_resolv_conf,
)
from upstream import ok

HERE = Zone(v4=["127.0.0.1"])
FAST = 0.6  # seconds; a fifth of the default dns_timeout is 1 s


def silent(_):
    return None


class SourceClient(Client):
    """A client with a source address of its own."""

    def __init__(self, address, source):
        # pylint: disable=super-init-not-called
        self.socket = socket.create_connection(address, 20, (source, 0))
        self.pending = b""
        self.end = None


@unittest.skipUnless(can_mount(), "this user cannot mount an /etc/resolv.conf for the proxy")
class NamesTest(ProxyTest):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="streamgate-names-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.up = self.upstream(ok(b"here"))

    def names(self, script):
        server = NameServer(script)
        self.addCleanup(server.stop)
        return server

    def proxy_for(self, *servers, conf="", settings=None):
        text = conf + "".join(server.line for server in servers)
        return self.adopt(proxy_with_names(self.folder, text, settings or {}))

    def url(self, name):
        return f"http://{name}:{self.up.port}/"

    def get(self, proxy, name):
        """The answer, and the seconds that it took."""
        start = time.monotonic()
        return proxy.stream(self.url(name)), time.monotonic() - start

    def assert_plays(self, proxy, name, within=FAST):
        response, seconds = self.get(proxy, name)
        self.assertEqual((response.status, response.body), (200, b"here"), response)
        self.assertLess(seconds, within)

    def ask_in_background(self, proxy, name, source):
        """A request whose answer nobody waits for; returns its client."""
        client = SourceClient((proxy.host, proxy.port), source)
        self.addCleanup(client.close)
        client.socket.sendall(
            f"GET {stream_path(self.url(name))} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        return client


class Answers(NamesTest):
    def test_a_truncated_answer_is_asked_for_again_over_tcp(self):
        def script(question):
            if question.over == "udp":
                return question.message(question.addresses(v4=["127.0.0.9"]), truncated=True)
            return question.answer(v4=["127.0.0.1"])

        names = self.names(script)
        self.assert_plays(self.proxy_for(names), "big.test")
        self.assertEqual({q.kind for q in names.asked("big.test", "tcp")}, {A, AAAA})

    def test_a_truncated_answer_whose_tcp_is_refused_asks_the_next_server(self):
        first = self.names(lambda question: question.message(truncated=True))
        first.refuse_tcp()
        second = self.names({"big.test": HERE})
        self.assert_plays(self.proxy_for(first, second), "big.test")

    def test_edns_is_offered_and_left_out_for_a_server_that_does_not_know_it(self):
        def script(question):
            if question.edns_size is not None:
                return question.message(rcode=FORMERR)
            return question.answer(v4=["127.0.0.1"])

        names = self.names(script)
        self.assert_plays(self.proxy_for(names), "old.test")
        self.assertEqual(names.asked("old.test")[0].edns_size, 1232)

    def test_a_large_answer_comes_over_udp_with_edns(self):
        def script(question):
            aliases = [record(QUESTION_NAME, 16, b"\xff" + b"x" * 255) for _ in range(3)]
            return question.message([*aliases, *question.addresses(v4=["127.0.0.1"])])

        names = self.names(script)
        self.assert_plays(self.proxy_for(names), "large.test")
        self.assertEqual(names.asked("large.test", "tcp"), [])

    def test_an_alias_is_followed(self):
        def script(question):
            target = encode_name("target.test")
            alias = record(QUESTION_NAME, CNAME, target)
            return question.message([alias, *question.addresses(v4=["127.0.0.1"], name=target)])

        self.assert_plays(self.proxy_for(self.names(script)), "alias.test")

    def test_a_name_is_asked_for_once_and_again_after_its_ttl(self):
        names = self.names({"short.test": Zone(v4=["127.0.0.1"], ttl=4)})
        proxy = self.proxy_for(names)
        for _ in range(5):
            self.assert_plays(proxy, "short.test")
        first = len(names.asked("short.test"))
        self.assertLessEqual(first, 4)
        wait_until(
            lambda: self.get(proxy, "short.test") and len(names.asked("short.test")) > first
        )

    def test_identical_questions_are_one(self):
        gate = threading.Event()
        self.addCleanup(gate.set)

        def script(question):
            gate.wait(20)
            return question.answer(v4=["127.0.0.1"])

        names = self.names(script)
        proxy = self.proxy_for(names)
        clients = [self.ask_in_background(proxy, "one.test", "127.0.0.1") for _ in range(50)]
        wait_until(lambda: names.asked("one.test"))
        gate.set()
        for client in clients:
            self.assertEqual(client.read_response().status, 200)
        # Two families; a repetition may have come while the gate was closed.
        self.assertLessEqual(len(names.asked("one.test")), 4)


class Servers(NamesTest):
    def test_after_a_failure_the_next_server_is_asked(self):
        for rcode in (SERVFAIL, REFUSED):
            with self.subTest(rcode=rcode):
                first, second = self.names(Zone(rcode=rcode)), self.names({"a.test": HERE})
                self.assert_plays(self.proxy_for(first, second), "a.test")

    def test_failing_servers_are_dns_failed(self):
        for rcodes in ((SERVFAIL,), (SERVFAIL, REFUSED)):
            with self.subTest(rcodes=rcodes):
                servers = [self.names(Zone(rcode=rcode)) for rcode in rcodes]
                response, seconds = self.get(self.proxy_for(*servers), "a.test")
                self.assert_error(response, 502, "dns_failed")
                self.assertLess(seconds, FAST)

    def test_a_name_that_does_not_exist_is_not_asked_elsewhere(self):
        first, second = self.names(Zone(rcode=NXDOMAIN)), self.names({"a.test": HERE})
        proxy = self.proxy_for(first, second)
        for _ in range(2):
            self.assert_error(self.get(proxy, "a.test")[0], 502, "dns_failed")
        self.assertEqual(len(first.asked("a.test")), 2)
        self.assertEqual(second.asked("a.test"), [])

    def test_a_dead_first_server_costs_one_wait(self):
        dead = self.names(silent)
        live = self.names(HERE)
        proxy = self.proxy_for(dead, live)
        _, seconds = self.get(proxy, "first.test")
        self.assertGreater(seconds, 0.9)
        for i in range(20):
            self.assert_plays(proxy, f"later{i}.test", within=0.5)
        proxy.wait_for_event("dns.server_silent", server=f"127.0.0.1:{dead.port}")

    def test_a_refusing_first_server_costs_no_wait(self):
        gone = self.names(silent)
        gone.stop()
        proxy = self.proxy_for(gone, self.names(HERE))
        for name in ("a.test", "b.test"):
            self.assert_plays(proxy, name)

    def test_the_timeout_holds_over_everything(self):
        def endless(question):
            return question.message(truncated=True) if question.over == "udp" else None

        def drip(question):
            if question.over == "udp":
                return question.message(truncated=True)
            time.sleep(0.2)
            return [b"\0" * 12] * 3

        for script in (silent, endless, drip):
            with self.subTest(script=script.__name__):
                servers = [self.names(script) for _ in range(3)]
                proxy = self.proxy_for(*servers, settings={"upstream": {"dns_timeout": "1s"}})
                response, seconds = self.get(proxy, "a.test")
                self.assertIn(response["X-Streamgate-Error"], ("dns_timeout", "dns_failed"))
                if script is silent:
                    self.assert_error(response, 504, "dns_timeout")
                self.assertLess(seconds, 1.8)

    def test_resolv_conf_is_read_again_when_it_changes(self):
        first, second = self.names(silent), self.names(HERE)
        proxy = self.proxy_for(first)
        client = self.ask_in_background(proxy, "before.test", "127.0.0.1")
        wait_until(lambda: first.asked("before.test"))
        write_resolv_conf(self.folder, "# another\n" + second.line)
        wait_until(lambda: self.get(proxy, "after.test")[0].status == 200)
        self.assertEqual(client.read_response().status, 200)

    def test_search_rules_complete_a_name_and_rules_about_names_hold_for_it(self):
        names = self.names({"tv.lan.test": HERE, "box.secret.test": HERE})
        proxy = self.proxy_for(
            names,
            conf="search lan.test secret.test\n",
            settings={
                "security": {"allow_private": ["127.0.0.0/8"], "deny": ["*.secret.test"]}
            },
        )
        self.assert_plays(proxy, "tv")
        self.assert_plays(proxy, "tv")
        for _ in range(2):
            self.assert_error(self.get(proxy, "box")[0], 403, "target_forbidden")


class Floods(NamesTest):
    def script(self, question):
        return None if question.name.startswith("silent") else HERE(question)

    def send_silent(self, proxy, count, source):
        return [
            self.ask_in_background(proxy, f"silent{source}-{i}.test", source)
            for i in range(count)
        ]

    def test_silent_names_of_one_client_do_not_block_other_clients(self):
        names = self.names(self.script)
        proxy = self.proxy_for(names, settings={"trusted_proxies": []})
        self.assert_plays(proxy, "known.test")
        attack = self.send_silent(proxy, 100, "127.0.0.2")
        for client in attack[40:]:  # at once
            response = client.read_response()
            self.assert_error(response, 503, "overloaded")
        with SourceClient((proxy.host, proxy.port), "127.0.0.2") as client:
            for name, status in (("known.test", 200), ("new.test", 503)):
                client.request(stream_path(self.url(name)))
                self.assertEqual(client.read_response().status, status, name)
        self.assert_plays(proxy, "known.test")
        self.assert_plays(proxy, "fresh.test")

    def test_a_client_at_its_limit_does_not_fail_those_who_ask_for_the_same(self):
        names = self.names(self.script)
        settings = {"trusted_proxies": [], "cache": {"memory": "64MiB"}}
        proxy = self.proxy_for(names, settings=settings)
        attack = self.send_silent(proxy, 40, "127.0.0.2")
        self.assert_error(attack[-1].read_response(), 503, "overloaded")
        sources = ("127.0.0.2", "127.0.0.1", "127.0.0.3")
        clients = [SourceClient((proxy.host, proxy.port), source) for source in sources]
        for client in clients:
            self.addCleanup(client.close)
            client.request("/health")
            client.read_response()
        # All three requests arrive in one turn of the loop.
        worker = proxy.workers()[0]
        os.kill(worker, signal.SIGSTOP)
        try:
            for client in clients:
                client.request(stream_path(self.url("popular.test")))
        finally:
            os.kill(worker, signal.SIGCONT)
        statuses = [client.read_response().status for client in clients]
        self.assertEqual((statuses, len(self.up.requests)), ([503, 200, 200], 1))

    def test_3000_silent_names_of_a_trusted_proxy_do_not_block_other_names(self):
        names = self.names(self.script)
        proxy = self.proxy_for(names)
        self.assert_plays(proxy, "known.test")
        attack = []
        for i in range(30):
            attack += self.send_silent(proxy, 100, f"127.0.1.{i}")
            self.assert_plays(proxy, "known.test")
            self.assert_plays(proxy, f"fresh{i}.test")
        reasons = [client.read_response()["X-Streamgate-Error"] for client in attack[::100]]
        self.assertLessEqual(set(reasons), {"overloaded", "dns_timeout"})
        self.assertIn("overloaded", reasons)


class Hostile(NamesTest):
    """A forged or broken message never counts, and never crashes or grows the proxy."""

    def test_forged_answers_are_ignored(self):
        def script(question):
            forged = question.addresses(v4=["10.9.9.9"])
            other = encode_name("other.test") + struct.pack("!HH", question.kind, 1)
            stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            stranger.sendto(question.message(forged), question.source)
            stranger.close()
            return [
                question.message(forged, id=question.id ^ 1),
                question.message(forged, section=other),
                b"",
                question.answer(v4=["127.0.0.1"]),
            ]

        proxy = self.proxy_for(self.names(script))
        for i in range(20):
            self.assert_plays(proxy, f"a{i}.test")

    def bad_messages(self, question):
        loop = struct.pack("!H", 0xC000 | (12 + len(question.section)))
        whole = question.answer(v4=["127.0.0.1"], v6=["::1"])
        alias = encode_name("alias.test")
        yield question.message([record(loop, question.kind, b"\x7f\0\0\1")])
        yield question.message(
            [
                record(QUESTION_NAME, CNAME, alias),
                record(alias, CNAME, QUESTION_NAME),
            ]
        )
        yield question.message([record(QUESTION_NAME, CNAME, QUESTION_NAME)] * 40)
        yield question.message([record(QUESTION_NAME, question.kind, b"\x7f")])
        yield question.message(question.addresses(v4=["127.0.0.1"], v6=["::1"]), count=65535)
        yield question.message([], count=1)
        for cut in range(len(whole)):
            yield whole[:cut]
        for _ in range(300):
            broken = bytearray(whole)
            for _ in range(random.randint(1, 6)):
                broken[random.randrange(2, len(broken))] = random.randrange(256)
            yield bytes(broken)

    def test_broken_messages_crash_nothing(self):
        seed = int(os.environ.get("STREAMGATE_SEED", random.randrange(1 << 32)))
        random.seed(seed)
        messages = {}

        def script(question):
            if question.name == "good.test":
                return HERE(question)
            index = int(question.name[1:].split(".")[0])
            if question.kind not in messages:
                messages[question.kind] = list(self.bad_messages(question))
            broken = messages[question.kind][index % len(messages[question.kind])]
            return struct.pack("!H", question.id) + broken[2:] if len(broken) > 2 else broken

        names = self.names(script)
        proxy = self.proxy_for(names, settings={"upstream": {"dns_timeout": "300ms"}})
        worker = proxy.workers()
        for start in range(0, 400, 25):
            clients = [
                self.ask_in_background(proxy, f"n{start + i}.test", "127.0.0.1")
                for i in range(25)
            ]
            for client in clients:
                response = client.read_response()
                self.assertIsNotNone(response, f"seed {seed}")
        self.assert_plays(proxy, "good.test")
        self.assertEqual(proxy.workers(), worker, f"seed {seed}")

    def test_answers_of_any_size_do_not_grow_the_proxy(self):
        many = [f"127.0.{i >> 8}.{i & 255}" for i in range(1, 4000)]

        def script(question):
            if question.over == "udp":
                return question.message(truncated=True)
            count = 500 if question.name.startswith("many") else 3999
            return question.message(question.addresses(v4=many[:count]))

        names = self.names(script)
        proxy = self.proxy_for(names)
        self.assert_plays(proxy, "many.test", within=2)
        for i in range(20):
            self.get(proxy, f"warm{i}.test")
        before = proxy.resident_bytes()
        for i in range(200):
            self.get(proxy, f"huge{i}.test")
        self.assertLess(proxy.resident_bytes() - before, 4 << 20)

    def test_queries_change_their_source_port_while_one_is_open(self):
        def script(question):
            return None if question.name == "silent.test" else HERE(question)

        names = self.names(script)
        proxy = self.proxy_for(names, settings={"upstream": {"dns_timeout": "60s"}})
        self.ask_in_background(proxy, "silent.test", "127.0.0.1")
        wait_until(lambda: names.asked("silent.test"))
        for i in range(300):
            self.assert_plays(proxy, f"a{i}.test", within=5)
        self.assertGreater(len({question.source for question in names.questions}), 1)

    def test_tcp_that_breaks_is_a_failure(self):
        def script(question):
            if question.over == "udp":
                return question.message(truncated=True)
            raise ConnectionResetError

        proxy = self.proxy_for(self.names(script))
        response, seconds = self.get(proxy, "a.test")
        self.assert_error(response, 502, "dns_failed")
        self.assertLess(seconds, 2)


if __name__ == "__main__":
    main()
