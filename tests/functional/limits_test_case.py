"""Streams that are held open, and the answer of a limit."""

import threading

from harness import BINARY, ProxyTest, stream_path
from upstream import Answer, playlist


class Held:
    """Streams that stay open until they are closed."""

    def __init__(self, test, proxy, up):
        self.test, self.proxy, self.up = test, proxy, up
        self.clients = []

    def ask(self, target, headers=(), preface=b""):
        """Begins a stream, and returns the head of its answer."""
        client = self.proxy.connect()
        self.test.addCleanup(client.close)
        if preface:
            client.send(preface)
        client.request(target, headers)
        head = client.read_head()
        if head.status == 200:
            self.clients.append(client)
        else:
            client.close()
        return head

    def hold(self, count=1, path="/hold", **parameters):
        """Begins up to `count` streams; how many the proxy has served."""
        target = stream_path(self.up.url(path), **parameters)
        return sum(self.ask(target).status == 200 for _ in range(count))

    def hold_at_once(self, count):
        target = stream_path(self.up.url("/hold"))
        threads = [threading.Thread(target=self.ask, args=[target]) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(self.clients)

    def let_go(self, count=1):
        for _ in range(count):
            self.clients.pop().close()


class LimitsTest(ProxyTest):
    def upstream_that_holds(self):
        """/hold is a stream without an end, everything else a playlist of it."""
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)

        def script(request):
            if not request.path.endswith("/hold"):
                return playlist("#EXTM3U\nhold\n")
            head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nfirst"
            return Answer(head, body=lambda: [b"later"], wait=self.gate)

        return self.upstream(script)

    def held(self, proxy):
        return Held(self, proxy, self.upstream_that_holds())

    def assert_limited(self, head, retry_after="5"):
        self.assertEqual(
            (head.status, head["X-Streamgate-Error"], head["Retry-After"]),
            (429, "rate_limited", retry_after),
        )

    def per_client(self, binary=BINARY, **limits):
        settings = {name: limits.pop(name) for name in ("workers", "drain") if name in limits}
        return self.own_proxy({"limits": {"per_client": limits}, **settings}, binary=binary)
