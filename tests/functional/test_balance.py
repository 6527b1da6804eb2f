"""New connections are shared by the workers."""

import os
import signal
import socket
import statistics
import time

from harness import ProxyTest, main, wait_until

BURST = 200
ROUNDS = 20


def sockets_of(pid):
    """How many sockets a process has open."""
    folder = f"/proc/{pid}/fd"
    count = 0
    for name in os.listdir(folder):
        try:
            count += os.readlink(os.path.join(folder, name)).startswith("socket:")
        except OSError:
            pass  # closed since listdir()
    return count


class Balance(ProxyTest):
    def two_workers(self):
        proxy = self.own_proxy({"workers": 2, "watchdog_timeout": "60s"})
        wait_until(lambda: len(proxy.workers()) == 2)
        return proxy, proxy.workers()

    def burst(self, proxy, count):
        """Opens `count` connections, then sends a request on each."""
        clients = []
        for _ in range(count):
            client = socket.create_connection((proxy.host, proxy.port), 10)
            self.addCleanup(client.close)
            clients.append(client)
        for client in clients:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        for client in clients:
            self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200 "))
        return clients

    def test_a_burst_of_connections_is_shared_by_two_workers(self):
        proxy, workers = self.two_workers()
        idle = [sockets_of(pid) for pid in workers]
        larger_shares = []
        for _ in range(ROUNDS):
            clients = self.burst(proxy, BURST)
            shares = [sockets_of(pid) - before for pid, before in zip(workers, idle)]
            self.assertEqual(sum(shares), BURST)
            larger_shares.append(max(shares))
            for client in clients:
                client.close()
            wait_until(lambda: [sockets_of(pid) for pid in workers] == idle)
        self.assertLessEqual(statistics.median(larger_shares), 0.6 * BURST, larger_shares)

    def test_a_worker_takes_every_connection_while_the_other_hangs(self):
        proxy, workers = self.two_workers()
        os.kill(workers[0], signal.SIGSTOP)
        self.addCleanup(os.kill, workers[0], signal.SIGCONT)
        started = time.monotonic()
        # The hanging worker is woken too, but only the other one accepts.
        self.burst(proxy, BURST)
        self.assertLess(time.monotonic() - started, 5)


if __name__ == "__main__":
    main()
