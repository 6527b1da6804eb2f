"""TERM, QUIT and INT: which of them wait for running streams, and for how long."""

import os
import signal
import threading

from harness import ProxyTest, main, stream_path, wait_until
from upstream import ok


class Stopping(ProxyTest):
    def test_term_lets_a_running_stream_finish(self):
        proxy = self.own_proxy()
        client, gate = self.stream_under_way(proxy)
        proxy.send_signal(signal.SIGTERM)
        wait_until(lambda: not proxy.is_serving(), what="the listener to be closed")
        self.assertIsNone(proxy.process.poll())
        self.finish_stream(client, gate)
        wait_until(lambda: proxy.process.poll() is not None, what="the master to exit")

    def test_a_stopping_service_refuses_new_connections_while_a_stream_runs_on(self):
        proxy = self.own_proxy({"drain": {"stop_timeout": "20s"}})
        client, gate = self.stream_under_way(proxy)
        proxy.send_signal(signal.SIGTERM)
        wait_until(lambda: self.refuses(proxy), 3, "connections to be refused")
        self.finish_stream(client, gate)

    @staticmethod
    def refuses(proxy):
        try:
            proxy.connect().close()
        except ConnectionRefusedError:
            return True
        return False

    def test_term_to_the_whole_group_lets_a_running_stream_finish(self):
        """systemd's KillMode=control-group and `pkill streamgate` signal the workers too."""
        proxy = self.own_proxy()
        client, gate = self.stream_under_way(proxy)
        for worker in proxy.workers():
            os.kill(worker, signal.SIGTERM)
        proxy.send_signal(signal.SIGTERM)
        wait_until(lambda: not proxy.is_serving(), what="the listener to be closed")
        self.finish_stream(client, gate)
        wait_until(lambda: proxy.process.poll() is not None, what="the master to exit")

    def test_term_cuts_streams_at_stop_timeout(self):
        proxy = self.own_proxy({"drain": {"idle": "100ms", "stop_timeout": "500ms"}})
        client, _ = self.stream_under_way(proxy)
        proxy.send_signal(signal.SIGTERM)
        rest = client.read_to_end()
        self.assertEqual((rest, client.end), (b"first", "reset"))
        self.assertEqual(proxy.process.wait(10), 0)

    def test_a_second_term_stops_at_once(self):
        proxy = self.own_proxy({"drain": {"stop_timeout": "60s"}})
        self.stream_under_way(proxy)
        proxy.send_signal(signal.SIGTERM)
        wait_until(lambda: not proxy.is_serving())
        proxy.send_signal(signal.SIGTERM)
        proxy.process.wait(10)

    def test_quit_waits_for_streams_and_int_does_not(self):
        proxy = self.own_proxy()
        client, gate = self.stream_under_way(proxy)
        proxy.send_signal(signal.SIGQUIT)
        wait_until(lambda: not proxy.is_serving())
        self.finish_stream(client, gate)
        self.assertEqual(proxy.process.wait(10), 0)
        proxy = self.own_proxy()
        self.stream_under_way(proxy)
        proxy.send_signal(signal.SIGINT)
        proxy.process.wait(10)

    def test_int_during_new_connections_ends_the_workers_without_a_crash(self):
        up = self.upstream(ok(b"x"))
        proxy = self.own_proxy()
        target = stream_path(up.url(host="localhost"))
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                try:
                    proxy.ask(target)
                except OSError:
                    pass  # the service has stopped

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        proxy.wait_for_access(50)
        proxy.send_signal(signal.SIGINT)
        proxy.process.wait(10)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertNotIn("worker.died", proxy.log())


if __name__ == "__main__":
    main()
