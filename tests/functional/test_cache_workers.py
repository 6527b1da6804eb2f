"""Shared answers when workers die, drain and run out of memory."""

import os
import random
import signal
import tempfile
import threading

from harness import BINARY, ProxyTest, main, stream_path, wait_until
from programs import put
from upstream import Answer, ok

CONTENT = random.Random(9).randbytes(1_200_007)


def tagged(tag, gate=None, first=None):
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nCache-Control: max-age=600\r\n"
        f'ETag: {tag}\r\nContent-Length: {len(CONTENT)}\r\n\r\n'
    ).encode()
    if gate is None:
        return Answer(head + CONTENT)
    return Answer(head + CONTENT[:first], body=lambda: [CONTENT[first:]], wait=gate)


class Workers(ProxyTest):
    settings = {"cache": {"memory": "64MiB"}, "workers": 2}

    def setUp(self):
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)

    def start_clients(self, proxy, url, count=12):
        """At least `count` clients of both workers, and the process that serves each; the first one
        began the upstream request."""
        clients, pids = [], []
        while len(clients) < count or len(set(pids)) < 2:
            self.assertLess(len(clients), 200, "one worker has all clients")
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(stream_path(url))
            clients.append(client)
            pids.append(proxy.pid_serving(client))
        return clients, pids

    def kill_owner(self, proxy, clients, pids):
        """Kills the worker of the first client. Returns the clients of the other one."""
        os.kill(pids[0], signal.SIGKILL)
        proxy.wait_for_event("worker.died", worker=str(pids[0]))
        return [client for client, pid in zip(clients, pids) if pid != pids[0]]

    def test_the_readers_of_a_dead_worker_continue_with_one_new_request(self):
        up = self.upstream([tagged('"v1"', self.gate, 300_000), tagged('"v1"')])
        proxy = self.own_proxy()
        clients, pids = self.start_clients(proxy, up.url("/a.ts"))
        heads = {client: client.read_head() for client in clients}
        for client in clients:
            wait_until(lambda c=client: len(c.pending) >= 300_000 or not c.receive_more())
        for client in self.kill_owner(proxy, clients, pids):
            response = client.read_body(heads[client])
            self.assertTrue(response.complete)
            self.assertTrue(response.body == CONTENT)
        self.assertEqual(len(up.requests), 2)

    def test_a_part_goes_on_after_the_death_of_its_worker(self):
        up = self.upstream([tagged('"v1"', self.gate, 300_000), tagged('"v1"')])
        proxy = self.own_proxy()
        owner = proxy.connect()
        self.addCleanup(owner.close)
        owner.request(stream_path(up.url("/a.ts")))
        owner.read_head()
        clients, pids = [owner], [proxy.pid_serving(owner)]
        while len(set(pids)) < 2:
            self.assertLess(len(clients), 200, "one worker has all clients")
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(stream_path(up.url("/a.ts")), {"Range": "bytes=1000-"})
            clients.append(client)
            pids.append(proxy.pid_serving(client))
        head = clients[-1].read_head()
        self.assertEqual((head.status, head["X-Streamgate-Cache"]), (206, "shared"))
        self.kill_owner(proxy, clients, pids)
        response = clients[-1].read_body(head)
        self.assertTrue(response.body == CONTENT[1000:])

    def test_an_answer_that_changed_is_not_continued(self):
        up = self.upstream([tagged('"v1"', self.gate, 300_000), tagged('"v2"')])
        proxy = self.own_proxy()
        clients, pids = self.start_clients(proxy, up.url("/a.ts"))
        heads = {client: client.read_head() for client in clients}
        for client in self.kill_owner(proxy, clients, pids):
            response = client.read_body(heads[client])
            self.assertFalse(response.complete)
            self.assertTrue(CONTENT.startswith(response.body))

    def test_a_worker_that_dies_before_the_head_costs_one_new_request(self):
        whole = tagged('"v1"')
        silent = Answer(body=lambda: [whole.data], wait=self.gate)
        up = self.upstream([silent, whole])
        proxy = self.own_proxy()
        clients, pids = self.start_clients(proxy, up.url("/a.ts"))
        for client in self.kill_owner(proxy, clients, pids):
            response = client.read_response()
            self.assertTrue(response.body == CONTENT)
        self.assertEqual(len(up.requests), 2)

    def test_what_a_dead_worker_had_stored_is_gone(self):
        up = self.upstream(lambda _: tagged('"v1"'))
        proxy = self.own_proxy({"workers": 1})
        for outcome in ("miss", "hit"):
            self.assertEqual(proxy.stream(up.url("/a.ts"))["X-Streamgate-Cache"], outcome)
        self.assertGreater(self.held(proxy), len(CONTENT))
        os.kill(proxy.workers()[0], signal.SIGKILL)
        proxy.wait_for_event("worker.died")
        wait_until(lambda: self.held(proxy) == 0, what="the memory of the dead worker")
        wait_until(proxy.is_serving)
        response = proxy.stream(up.url("/a.ts"))
        self.assertEqual(response["X-Streamgate-Cache"], "miss")
        self.assertTrue(response.body == CONTENT)

    def test_a_draining_worker_stays_while_others_read_what_it_fetches(self):
        up = self.upstream([tagged('"v1"', self.gate, 300_000), tagged('"v2"')])
        proxy = self.own_proxy({"workers": 1, "drain": {"idle": "0s", "stop_timeout": "5s"}})
        old = proxy.connect()
        self.addCleanup(old.close)
        old.request(stream_path(up.url("/a.ts")))
        self.assertEqual(old.read_head()["X-Streamgate-Cache"], "miss")
        proxy.reload({})
        proxy.wait_for_event("reload.done")
        young = proxy.connect()
        self.addCleanup(young.close)
        young.request(stream_path(up.url("/a.ts")))
        head = young.read_head()
        self.assertEqual(head["X-Streamgate-Cache"], "shared")
        old.reset()
        wait_until(lambda: any(e["reason"] == "client_gone" for e in proxy.access_log()))
        self.gate.set()
        response = young.read_body(head)
        self.assertTrue(response.body == CONTENT)
        self.assertEqual(len(up.requests), 1)
        proxy.wait_for_event("worker.left", generation="1")

    def test_an_upgrade_keeps_what_is_stored_and_what_is_under_way(self):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        program = os.path.join(folder.name, "streamgate")
        put(BINARY, program)
        up = self.upstream({"/a.ts": tagged('"v1"'), "/b.ts": tagged('"v1"', self.gate, 300_000)})
        proxy = self.own_proxy({"workers": 1}, binary=program)
        self.assertEqual(proxy.stream(up.url("/a.ts"))["X-Streamgate-Cache"], "miss")
        clients = [proxy.connect() for _ in range(2)]
        heads = []
        for number, client in enumerate(clients):
            self.addCleanup(client.close)
            if number == 1:
                put(BINARY, program)
                proxy.reload({})
                proxy.wait_for_event("upgrade.done")
                proxy.wait_for_event("reload.done")
            client.request(stream_path(up.url("/b.ts")))
            heads.append(client.read_head())
        self.assertEqual([h["X-Streamgate-Cache"] for h in heads], ["miss", "shared"])
        self.assertEqual(proxy.stream(up.url("/a.ts"))["X-Streamgate-Cache"], "hit")
        self.gate.set()
        for client, head in zip(clients, heads):
            self.assertTrue(client.read_body(head).body == CONTENT)
        self.assertEqual(len(up.requests), 2)
        # The column of the old worker is cleared.
        proxy.wait_for_event("worker.left", generation="1")
        wait_until(lambda: self.held(proxy) == 0, what="the memory of the old worker")

    # --- memory

    @staticmethod
    def held(proxy):
        """The bytes of the file with the bodies."""
        folder = f"/proc/{proxy.process.pid}/fd"
        for name in os.listdir(folder):
            if "streamgate-cache-bodies" in os.readlink(f"{folder}/{name}"):
                return os.stat(f"{folder}/{name}").st_blocks * 512
        raise AssertionError("there is no file with bodies")

    def test_memory_is_bounded(self):
        body = random.Random(1).randbytes(400_000)
        up = self.upstream(lambda r: ok(r.target.encode() + body, {"Cache-Control": "max-age=600"}))
        proxy = self.own_proxy({"cache": {"memory": "4MiB", "object_size": "1MiB"}})
        for number in range(60):
            response = proxy.stream(up.url(f"/{number}"))
            self.assertTrue(response.body == b"/%d" % number + body)
            self.assertLessEqual(self.held(proxy), 4 << 20)
        # The newest are there, the oldest are not.
        self.assertEqual(proxy.stream(up.url("/59"))["X-Streamgate-Cache"], "hit")
        self.assertNotEqual(proxy.stream(up.url("/0"))["X-Streamgate-Cache"], "hit")

    def test_memory_that_is_not_used_goes_back(self):
        up = self.upstream(lambda _: ok(CONTENT, {"Cache-Control": "max-age=1"}))
        proxy = self.own_proxy()
        proxy.stream(up.url("/a.ts"))
        self.assertGreater(self.held(proxy), len(CONTENT))
        wait_until(lambda: self.held(proxy) == 0, timeout=20)

    def test_without_room_answers_are_relayed(self):
        up = self.upstream(
            lambda r: Answer(
                f"HTTP/1.1 200 OK\r\nContent-Length: {1 << 20}\r\n\r\n".encode() + r.path.encode(),
                body=lambda: [b"x" * ((1 << 20) - len(r.path))],
                wait=self.gate,
            )
        )
        proxy = self.own_proxy({"cache": {"memory": "2MiB", "object_size": "1MiB"}})
        clients = []
        for number in range(6):
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(stream_path(up.url(f"/{number}")))
            clients.append((client, client.read_head()))
        outcomes = sorted(head["X-Streamgate-Cache"] for _, head in clients)
        self.assertEqual(outcomes, ["miss"] + ["pass"] * 5)
        self.gate.set()
        for number, (client, head) in enumerate(clients):
            response = client.read_body(head)
            self.assertEqual(response.body, b"/%d" % number + b"x" * ((1 << 20) - 2))


if __name__ == "__main__":
    main()
