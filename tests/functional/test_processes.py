"""The master and its workers: start, replace, reload, drain, and the command line."""

import os
import pwd
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

from harness import BINARY, Proxy, ProxyTest, closed_port, main, stream_path, wait_until, yaml
from upstream import Answer, ok


def streamgate(*arguments, environment=None):
    return subprocess.run(
        [BINARY, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )


class Asking:
    """Clients that ask for one thing, each on a new connection, until told to stop."""

    def __init__(self, proxy, url):
        self.proxy, self.url = proxy, url
        self.over, self.failures, self.served = threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.ask) for _ in range(4)]
        for thread in self.threads:
            thread.start()

    def ask(self):
        while not self.over.is_set():
            try:
                response = self.proxy.stream(self.url)
                if response is None or response.status != 200 or not response.complete:
                    self.failures.append(response)
                self.served += 1
            except OSError as error:
                self.failures.append(error)

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


class Workers(ProxyTest):
    def test_two_workers_share_the_load_of_many_connections(self):
        up = self.upstream(ok(b"x"))
        proxy = self.own_proxy({"workers": 2})
        wait_until(lambda: len(proxy.workers()) == 2)
        for _ in range(20):
            self.assertEqual(proxy.stream(up.url()).body, b"x")

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

    def test_the_only_worker_s_death_loses_no_later_request(self):
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

    def test_the_log_says_how_many_streams_a_death_has_cut(self):
        proxy = self.own_proxy()
        client, _ = Reload.stream_under_way(self, proxy)
        os.kill(proxy.workers()[0], signal.SIGKILL)
        died = proxy.wait_for_event("worker.died")
        self.assertEqual((died["exchanges_lost"], died["hint"]), ("1", "perhaps out of memory"))
        self.assertEqual((client.read_to_end(), client.end), (b"first", "fin"))
        self.assertEqual(proxy.ask("/health").status, 200)

    def test_workers_leave_when_the_master_is_killed(self):
        proxy = Proxy()
        self.addCleanup(proxy.remove)
        workers = wait_until(proxy.workers)
        proxy.kill()
        proxy.wait_for_event("master.gone")
        wait_until(
            lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers),
            what="the workers to leave",
        )

    def test_streams_outlive_a_killed_master_and_the_next_one_has_the_address_meanwhile(self):
        proxy = Proxy()
        self.addCleanup(proxy.remove)
        client, gate = Reload.stream_under_way(self, proxy)
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
        Reload.finish(self, client, gate)
        wait_until(lambda: not os.path.exists(f"/proc/{workers[0]}"), what="it to leave")

    # The kernel lets nobody else change users; tests/run.sh on a fresh machine runs as root.
    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_workers_become_the_configured_user(self):
        proxy = Proxy({"user": "nobody"}, environment={"ASAN_OPTIONS": "detect_leaks=0"})
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.stop_and_judge)
        proxy.wait_for_event("worker.ready")
        with open(f"/proc/{wait_until(proxy.workers)[0]}/status", encoding="ascii") as file:
            uid = next(line for line in file if line.startswith("Uid:"))
        self.assertNotIn("\t0", uid)
        self.assertEqual(proxy.ask("/health").status, 200)


class Reload(ProxyTest):
    def stream_under_way(self, proxy):
        gate = threading.Event()
        up = self.upstream(
            Answer(
                b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst",
                body=lambda: [b"later"],
                wait=gate,
            )
        )
        client = proxy.connect()
        self.addCleanup(client.close)
        client.request(stream_path(up.url("/a.ts")))
        self.assertEqual(client.read_head().status, 200)
        return client, gate

    def finish(self, client, gate):
        gate.set()
        while client.receive_more():
            pass
        self.assertEqual((client.pending, client.end), (b"firstlater", "fin"))

    def test_a_changed_user_takes_effect_and_owns_the_logs(self):
        """Where the service is not root's, `user` does not count, whatever it says."""
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
        self.addCleanup(proxy.stop_and_judge)
        for user in ("nobody", "daemon" if is_root else "nosuchuser"):
            if user != "nobody":
                proxy.reload({"user": user})
                proxy.wait_for_event("reload.done")
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
        self.assertIn(old[0], proxy.workers())  # it still has the stream
        self.finish(client, gate)
        wait_until(lambda: old[0] not in proxy.workers(), what="the old worker to leave")

    def test_an_idle_connection_of_a_draining_worker_is_answered_once_more(self):
        up = self.upstream(ok(b"x"))
        # Freed memory is overwritten: libraries are not instrumented, and would read on unnoticed.
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
            wait_until(lambda: old[0] not in proxy.workers(), what="the old worker to leave")
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
        load = Asking(proxy, up.url())
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

    def test_a_file_that_is_gone_changes_nothing(self):
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

    def test_the_address_stays_bound_and_a_new_one_is_added(self):
        proxy = self.own_proxy()
        port = closed_port()
        proxy.reload({"listen": ["127.0.0.1:0", f"127.0.0.1:{port}"]})
        first = proxy.port
        proxy.wait_for_event("listener.bound", address=f"127.0.0.1:{port}")
        for proxy.port in (first, port):
            wait_until(lambda: self.answers(proxy))

    def test_nothing_is_bound_for_a_configuration_that_is_wrong(self):
        proxy = self.own_proxy()
        no_certificate = {"certificate": proxy.config_file, "key": proxy.config_file}
        listen = {"address": f"127.0.0.1:{closed_port()}", "tls": no_certificate}
        proxy.reload({"listen": ["127.0.0.1:0", listen]})
        failed = proxy.wait_for_event("reload.failed")
        self.assertIn("holds no certificate", failed["reason"])
        self.assertEqual(len(proxy.events_named("listener.bound")), 1)

    @staticmethod
    def answers(proxy):
        try:
            response = proxy.ask("/health")
            return response is not None and response.status == 200
        except OSError:
            return False


class Stopping(ProxyTest):
    def test_term_lets_a_running_stream_finish(self):
        proxy = self.own_proxy()
        client, gate = Reload.stream_under_way(self, proxy)
        proxy.send_signal(signal.SIGTERM)
        wait_until(lambda: not Reload.answers(proxy), what="the listener to be closed")
        self.assertIsNone(proxy.process.poll())
        Reload.finish(self, client, gate)
        wait_until(lambda: proxy.process.poll() is not None, what="the master to leave")

    def test_a_stopping_service_refuses_new_connections_while_a_stream_runs_on(self):
        proxy = self.own_proxy({"drain": {"stop_timeout": "20s"}})
        client, gate = Reload.stream_under_way(self, proxy)
        proxy.send_signal(signal.SIGTERM)
        wait_until(lambda: self.refuses(proxy), 3, "connections to be refused")
        Reload.finish(self, client, gate)

    @staticmethod
    def refuses(proxy):
        try:
            proxy.connect().close()
        except ConnectionRefusedError:
            return True
        return False

    def test_term_to_the_whole_group_lets_a_running_stream_finish(self):
        """As systemd's KillMode=control-group and `pkill streamgate` send it."""
        proxy = self.own_proxy()
        client, gate = Reload.stream_under_way(self, proxy)
        for worker in proxy.workers():
            os.kill(worker, signal.SIGTERM)
        proxy.send_signal(signal.SIGTERM)
        wait_until(lambda: not Reload.answers(proxy), what="the listener to be closed")
        Reload.finish(self, client, gate)
        wait_until(lambda: proxy.process.poll() is not None, what="the master to leave")

    def test_term_cuts_what_does_not_end_by_stop_timeout(self):
        proxy = self.own_proxy({"drain": {"idle": "100ms", "stop_timeout": "500ms"}})
        client, _ = Reload.stream_under_way(self, proxy)
        proxy.send_signal(signal.SIGTERM)
        rest = client.read_to_end()
        self.assertEqual((rest, client.end), (b"first", "reset"))
        self.assertEqual(proxy.process.wait(10), 0)

    def test_a_second_term_stops_at_once(self):
        proxy = self.own_proxy({"drain": {"stop_timeout": "60s"}})
        Reload.stream_under_way(self, proxy)
        proxy.send_signal(signal.SIGTERM)
        wait_until(lambda: not Reload.answers(proxy))
        proxy.send_signal(signal.SIGTERM)
        proxy.process.wait(10)

    def test_quit_waits_for_streams_and_int_does_not(self):
        proxy = self.own_proxy()
        client, gate = Reload.stream_under_way(self, proxy)
        proxy.send_signal(signal.SIGQUIT)
        wait_until(lambda: not Reload.answers(proxy))
        Reload.finish(self, client, gate)
        self.assertEqual(proxy.process.wait(10), 0)
        proxy = self.own_proxy()
        Reload.stream_under_way(self, proxy)
        proxy.send_signal(signal.SIGINT)
        proxy.process.wait(10)

    def test_int_amid_new_connections_ends_the_workers_in_order(self):
        up = self.upstream(ok(b"x"))
        proxy = self.own_proxy()
        target = stream_path(up.url(host="localhost"))
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                try:
                    proxy.ask(target)
                except OSError:
                    pass  # nobody is there any more

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


class CommandLine(unittest.TestCase):
    def config(self, text):
        file = tempfile.NamedTemporaryFile(
            "w", suffix=".yaml"
        )  # pylint: disable=consider-using-with
        file.write(text)
        file.flush()
        self.addCleanup(file.close)
        return file.name

    def test_version(self):
        done = streamgate("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"streamgate \d+\.\d+\.\d+")

    def test_check_accepts_a_good_file(self):
        done = streamgate("--check", "-c", self.config("listen: 127.0.0.1:0\n"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((done.stdout, done.stderr), ("the configuration is valid\n", ""))

    def test_a_wrong_command_line_is_a_usage_error(self):
        for words in (["--nonsense"], ["-s", "explode"], ["-c"], ["--check", "-s", "status"]):
            done = streamgate(*words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertIn(words[0].lstrip("-"), done.stderr)

    def test_check_reports_every_problem_with_its_line(self):
        done = streamgate(
            "--check",
            "-c",
            self.config("listen: nonsense\nworkers: 2\nworkers: 3\nlog:\n  leevl: info\n"),
        )
        self.assertNotEqual(done.returncode, 0)
        for words in (".yaml:1: ", ".yaml:3: ", ".yaml:5: ", "leevl", "level"):
            self.assertIn(words, done.stderr + done.stdout)

    def test_check_notes_directories_that_are_not_there_yet(self):
        text = (
            "listen: [127.0.0.1:0, unix:/nonexistent/a/s]\npid_file: /nonexistent/b/pid\n"
            "log: {access: /nonexistent/c/log, error: /error.log}\n"
        )
        done = streamgate("--check", "-c", self.config(text))
        self.assertEqual(done.returncode, 0, done.stderr)
        for key, letter in (("listen", "a"), ("pid_file", "b"), ("log.access", "c")):
            self.assertIn(f"note: {key}: there is no directory /nonexistent/{letter}", done.stderr)
        self.assertNotIn("log.error", done.stderr)

    def test_check_refuses_a_ca_file_that_is_none(self):
        done = streamgate("--check", "-c", self.config("upstream: {tls: {ca_file: /dev/null}}\n"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/dev/null", done.stderr + done.stdout)

    def test_print_config_is_a_configuration_with_the_same_effect(self):
        first = streamgate(
            "--print-config", "-c", self.config("workers: 3\nupstream: {idle_timeout: 7s}\n")
        )
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertIn("idle_timeout: 7s", first.stdout)
        second = streamgate("--print-config", "-c", self.config(first.stdout))
        self.assertEqual(second.stdout, first.stdout)

    def test_unknown_options_and_missing_files_fail_with_a_sentence(self):
        for arguments in (("--nonsense",), ("-c", "/nonexistent/streamgate.yaml")):
            done = streamgate(*arguments)
            self.assertNotEqual(done.returncode, 0)
            self.assertTrue(done.stderr.strip())

    def test_a_start_that_fails_says_so_on_the_terminal_too(self):
        first = Proxy()
        self.addCleanup(first.remove)
        self.addCleanup(first.stop_and_judge)
        with tempfile.TemporaryDirectory() as folder:
            settings = {"listen": f"127.0.0.1:{first.port}", "log": {"error": f"{folder}/log"}}
            done = streamgate("-c", self.config(yaml(settings)))
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"127.0.0.1:{first.port}", done.stderr)

    def test_an_address_in_use_is_refused_by_name(self):
        first = Proxy()
        self.addCleanup(first.remove)
        self.addCleanup(first.stop_and_judge)
        done = streamgate("-c", self.config(yaml({"listen": f"127.0.0.1:{first.port}"})))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"127.0.0.1:{first.port}", done.stderr)
        self.assertEqual(first.ask("/health").status, 200)

    def test_listen_addr_counts_when_no_file_sets_listen(self):
        proxy = Proxy(
            arguments=[],
            environment={"LISTEN_ADDR": "127.0.0.1:0", "ASAN_OPTIONS": "detect_leaks=0"},
        )
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.stop_and_judge)
        self.assertEqual(proxy.host, "127.0.0.1")
        self.assertEqual(proxy.ask("/health").status, 200)


if __name__ == "__main__":
    main()
