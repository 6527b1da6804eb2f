"""Viewers of one endless stream, and its upstream."""

import os
import queue
import signal

from harness import ProxyTest, stream_path
from upstream import Answer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nConnection: close\r\n\r\n"


class Feed:
    """The body of one answer, sent as the test says."""

    def __init__(self, content_type=b"video/mp2t", then="close"):
        self._pieces = queue.Queue()
        self.sent = b""
        self.answer = Answer(HEAD % content_type, then, body=self._take)

    def _take(self):
        while (piece := self._pieces.get()) is not None:
            yield piece

    def send(self, data):
        self.sent += data
        self._pieces.put(data)
        return self

    def end(self):
        self._pieces.put(None)


def stalled(body, content_type=b"video/mp2t"):
    return Answer(HEAD % content_type + body, "stall")


class LiveTest(ProxyTest):
    settings = {"cache": {"memory": "64MiB"}, "workers": 2}
    SMALL = {"cache": {"memory": "64MiB", "live_window": "256KiB", "live_batch": "10ms"}}

    def feed(self, *arguments):
        feed = Feed(*arguments)
        self.addCleanup(feed.end)
        return feed

    def watch(self, proxy, url, headers=(), receive_buffer=None, **parameters):
        client = proxy.connect(receive_buffer=receive_buffer)
        self.addCleanup(client.close)
        client.request(stream_path(url, **parameters), headers, version="1.0")
        return client

    def begin(self, *arguments, **options):
        """A viewer whose head is there."""
        client = self.watch(*arguments, **options)
        client.head = client.read_head()
        self.assertEqual(client.head.status, 200)
        return client

    def read(self, client, size):
        while len(client.pending) < size and client.receive_more():
            pass
        return client.pending

    def viewers_of_all_workers(self, proxy, url, count=8, workers=2, **options):
        """The first viewer's worker owns the stream."""
        clients, pids = [], []
        while len(clients) < count or len(set(pids)) < workers:
            self.assertLess(len(clients), 200, "a worker has no client")
            clients.append(self.begin(proxy, url, **options))
            pids.append(proxy.pid_serving(clients[-1]))
        return clients, pids

    def young_viewers(self, proxy, url, old_pids, count):
        """After a reload: an old worker may accept a few more clients."""
        clients = []
        while len(clients) < count:
            client = self.begin(proxy, url)
            if proxy.pid_serving(client) in old_pids:
                client.reset()
            else:
                clients.append(client)
        return clients

    def stop_process(self, pid):
        def go_on():
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass

        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(go_on)

    def kill(self, proxy, pid):
        os.kill(pid, signal.SIGKILL)
        proxy.wait_for_event("worker.died", worker=str(pid))
