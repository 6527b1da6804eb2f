"""The master keeps the configured number of workers alive; workers exit with the master."""

import os
import signal
import socket
import unittest

from harness import Proxy, ProxyTest, main, wait_until


class Workers(ProxyTest):
    def test_a_killed_worker_is_replaced_at_once_and_the_others_serve(self):
        proxy = self.own_proxy({"workers": 2})
        before = wait_until(lambda: len(proxy.workers()) == 2 and proxy.workers())
        os.kill(before[0], signal.SIGKILL)
        after = wait_until(
            lambda: len(set(proxy.workers()) - {before[0]}) == 2 and proxy.workers(),
            3,
            "a new worker",
        )
        self.assertIn(before[1], after)
        self.assertNotIn(before[0], after)
        for _ in range(10):
            self.assertEqual(proxy.ask("/health").status, 200)

    def test_requests_after_the_death_of_the_only_worker_are_served(self):
        proxy = self.own_proxy()
        os.kill(wait_until(proxy.workers)[0], signal.SIGKILL)
        self.assertEqual(proxy.ask("/health").status, 200)

    def test_a_worker_that_hangs_is_replaced_and_the_others_serve_meanwhile(self):
        proxy = self.own_proxy({"workers": 2, "watchdog_timeout": "2s"})
        before = wait_until(lambda: len(proxy.workers()) == 2 and proxy.workers())
        proxy.wait_for_event("master.ready")
        os.kill(before[0], signal.SIGSTOP)
        self.addCleanup(lambda: os.path.exists(f"/proc/{before[0]}") and os.kill(before[0], 9))
        proxy.wait_for_event("worker.stuck", worker=str(before[0]))
        died = proxy.wait_for_event("worker.died", 15, worker=str(before[0]))
        self.assertEqual(
            (died["signal"], died["hint"]), ("KILL", "it did not react to earlier signals")
        )
        wait_until(lambda: len(set(proxy.workers()) - {before[0]}) == 2, what="a new worker")
        self.assertIn(before[1], proxy.workers())
        self.assertEqual(proxy.ask("/health").status, 200)

    def test_worker_died_counts_the_streams_that_were_cut(self):
        proxy = self.own_proxy()
        client, _ = self.stream_under_way(proxy)
        os.kill(proxy.workers()[0], signal.SIGKILL)
        died = proxy.wait_for_event("worker.died")
        self.assertEqual((died["exchanges_lost"], died["hint"]), ("1", "perhaps out of memory"))
        self.assertEqual((client.read_to_end(), client.end), (b"first", "fin"))
        self.assertEqual(proxy.ask("/health").status, 200)

    def test_workers_exit_when_the_master_is_killed(self):
        proxy = Proxy()
        self.addCleanup(proxy.remove)
        workers = wait_until(proxy.workers)
        proxy.kill()
        proxy.wait_for_event("master.gone")
        wait_until(
            lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers),
            what="the workers to exit",
        )

    def test_streams_outlive_a_killed_master_and_free_its_address(self):
        proxy = Proxy()
        self.addCleanup(proxy.remove)
        client, gate = self.stream_under_way(proxy)
        workers = proxy.workers()
        address = (proxy.host, proxy.port)
        proxy.kill()

        def is_free():
            with socket.socket() as probe:
                return probe.connect_ex(address) != 0

        wait_until(is_free, 2, "the workers to close their listeners")
        following = self.own_proxy({"listen": f"{proxy.host}:{proxy.port}"})
        self.assertEqual(following.ask("/health").status, 200)
        self.assertTrue(os.path.exists(f"/proc/{workers[0]}"))
        self.finish_stream(client, gate)
        wait_until(lambda: not os.path.exists(f"/proc/{workers[0]}"), what="the worker to exit")

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_workers_become_the_configured_user(self):
        proxy = Proxy({"user": "nobody"}, environment={"ASAN_OPTIONS": "detect_leaks=0"})
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.stop_and_check)
        proxy.wait_for_event("worker.ready")
        with open(f"/proc/{wait_until(proxy.workers)[0]}/status", encoding="ascii") as file:
            uid = next(line for line in file if line.startswith("Uid:"))
        self.assertNotIn("\t0", uid)
        self.assertEqual(proxy.ask("/health").status, 200)


if __name__ == "__main__":
    main()
