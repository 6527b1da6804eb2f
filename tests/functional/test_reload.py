"""SIGHUP: a new configuration takes effect, streams finish, a wrong file changes nothing."""

import os
import pwd
import signal
import tempfile

from harness import Proxy, ProxyTest, closed_port, main, stream_path, wait_until
from service import RepeatedRequests
from upstream import ok


class Reload(ProxyTest):
    def test_a_changed_user_takes_effect_and_owns_the_logs(self):
        """`user` has no effect if the service does not run as root."""
        is_root = os.geteuid() == 0
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        log = os.path.join(folder.name, "access.log")
        proxy = Proxy(
            {"user": "nobody", "log": {"access": log}},
            environment={"ASAN_OPTIONS": "detect_leaks=0"},
        )
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.stop_and_check)
        for user in ("nobody", "daemon" if is_root else "nosuchuser"):
            if user != "nobody":
                proxy.reload({"user": user})
                proxy.wait_for_event("worker.left", generation="1")
            expected = pwd.getpwnam(user).pw_uid if is_root else os.geteuid()
            wait_until(
                lambda expected=expected: [os.stat(f"/proc/{w}").st_uid for w in proxy.workers()]
                == [expected],
                what=f"a worker of {user}",
            )
            self.assertEqual(os.stat(log).st_uid, expected)
            self.assertEqual(proxy.ask("/health").status, 200)

    def test_a_changed_file_takes_effect_and_a_running_stream_finishes(self):
        proxy = self.own_proxy()
        old = wait_until(proxy.workers)
        client, gate = self.stream_under_way(proxy)
        proxy.reload({"cors": {"allow_origin": "https://new.example"}})
        wait_until(
            lambda: proxy.ask("/health")["Access-Control-Allow-Origin"] == "https://new.example"
        )
        self.assertIn(old[0], proxy.workers())  # for the stream
        self.finish_stream(client, gate)
        wait_until(lambda: old[0] not in proxy.workers(), what="the old worker to exit")

    def test_an_idle_connection_of_a_draining_worker_is_answered_once_more(self):
        up = self.upstream(ok(b"x"))
        # Freed memory is overwritten: the libraries are not instrumented, so a read of freed memory
        # in them would not be reported.
        poison = "detect_leaks=1:max_free_fill_size=65536:free_fill_byte=85"
        proxy = self.own_proxy({"drain": {"idle": "10s"}}, environment={"ASAN_OPTIONS": poison})
        old = wait_until(proxy.workers)
        for generation, target in enumerate(("/health", stream_path(up.url())), 1):
            with proxy.connect() as client:
                client.request("/health")
                self.assertIsNone(client.read_response()["Connection"])
                proxy.reload({})
                proxy.wait_for_event("worker.draining", generation=str(generation))
                client.request(target)
                response = client.read_response()
                self.assertEqual((response.status, response["Connection"]), (200, "close"))
                self.assertEqual((client.read_to_end(), client.end), (b"", "fin"))
            wait_until(lambda: old[0] not in proxy.workers(), what="the old worker to exit")
            self.assertNotIn("worker.died", proxy.log())
            old = wait_until(proxy.workers)

    def test_with_drain_idle_0_idle_connections_are_closed_at_once(self):
        proxy = self.own_proxy({"drain": {"idle": "0s"}})
        with proxy.connect() as client:
            client.request("/health")
            client.read_response()
            proxy.reload({})
            self.assertEqual((client.read_to_end(), client.end), (b"", "fin"))

    def test_no_request_is_lost_while_workers_change(self):
        up = self.upstream(lambda r: ok(b"x" * 1000))
        proxy = self.own_proxy({"workers": 2})
        load = RepeatedRequests(proxy, up.url())
        self.addCleanup(load.stop)
        for i in range(3):
            proxy.reload({"cors": {"allow_origin": f"https://g{i}.example"}})
            wait_until(
                lambda i=i: proxy.ask("/health")["Access-Control-Allow-Origin"]
                == f"https://g{i}.example"
            )
        load.stop()
        self.assertEqual(load.failures, [])
        self.assertGreater(load.served, 20)

    def test_a_broken_file_changes_nothing_and_every_problem_is_logged_with_its_line(self):
        proxy = self.own_proxy()
        workers = wait_until(proxy.workers)
        proxy.write_config(
            "listen: 127.0.0.1:0\nworkers: many\n"
            "upstream:\n  conect_timeout: 5s\n  idle_timeout: 30\n"
        )
        proxy.send_signal(signal.SIGHUP)
        wait_until(
            lambda: "connect_timeout" in proxy.log(), what="the nearest known key in the log"
        )
        log = proxy.log()
        for words in (
            ".yaml:2: ",
            "workers",
            ".yaml:4: ",
            "conect_timeout",
            ".yaml:5: ",
            "idle_timeout",
        ):
            self.assertIn(words, log)
        self.assertEqual(proxy.workers(), workers)
        self.assertEqual(proxy.ask("/health").status, 200)

    def test_a_missing_file_changes_nothing(self):
        proxy = self.own_proxy()
        workers = wait_until(proxy.workers)
        lines = len(proxy.events())
        os.rename(proxy.config_file, proxy.config_file + ".gone")
        proxy.send_signal(signal.SIGHUP)
        wait_until(
            lambda: len(proxy.events()) > lines
            and any(e.get("level") == "error" for e in proxy.events()[lines:])
        )
        self.assertEqual(proxy.workers(), workers)
        self.assertEqual(proxy.ask("/health").status, 200)

    def test_a_reload_keeps_an_address_and_adds_another(self):
        proxy = self.own_proxy()
        port = closed_port()
        proxy.reload({"listen": ["127.0.0.1:0", f"127.0.0.1:{port}"]})
        first = proxy.port
        proxy.wait_for_event("listener.bound", address=f"127.0.0.1:{port}")
        for proxy.port in (first, port):
            wait_until(proxy.is_serving)

    def test_nothing_is_bound_for_a_configuration_that_is_wrong(self):
        proxy = self.own_proxy()
        no_certificate = {"certificate": proxy.config_file, "key": proxy.config_file}
        listen = {"address": f"127.0.0.1:{closed_port()}", "tls": no_certificate}
        proxy.reload({"listen": ["127.0.0.1:0", listen]})
        failed = proxy.wait_for_event("reload.failed")
        self.assertIn("holds no certificate", failed["reason"])
        self.assertEqual(len(proxy.events_named("listener.bound")), 1)


if __name__ == "__main__":
    main()
