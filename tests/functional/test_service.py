"""Orders to the running service (`streamgate -s`), and the protocol of service managers."""

import json
import os
import signal
import socket
import tempfile
import threading

from certificates import Authority
from harness import (
    Proxy,
    closed_port,
    main,
    stream_path,
    streamgate,
    taken_address,
    wait_until,
)
from http_client import Client
from service import ActivatedServiceTest, ServiceManager, ServiceTest
from tokens import hs256, with_tokens
from upstream import Answer, ok


class PidFiles(ServiceTest):
    def test_a_start_does_not_take_the_pid_file_of_another_service(self):
        proxy = self.start()
        second = Proxy({"pid_file": self.pid_file}, awaited="master.start_failed")
        self.addCleanup(second.remove)
        self.assertEqual(second.process.wait(10), 1)
        reason = second.events_named("master.start_failed")[0]["reason"]
        self.assertIn(f"belongs to the running service of process {proxy.process.pid}", reason)
        status = self.order(proxy, "status")
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertIn(f"pid={proxy.process.pid} ", status.stdout)

    def test_a_reload_does_not_take_the_pid_file_of_another_service(self):
        proxy, theirs = self.start(), self.pid_file
        other = self.start()
        other.reload({"pid_file": theirs})
        failed = other.wait_for_event("master.pid_file_failed")
        self.assertIn(
            f"belongs to the running service of process {proxy.process.pid}", failed["reason"]
        )
        self.assertEqual(self.order(proxy, "status").returncode, 0)

    def test_a_draining_service_gives_its_pid_file_to_the_next(self):
        proxy = self.start()
        answer = Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "stall")
        up = self.upstream(answer)
        with proxy.connect() as client:
            client.request(stream_path(up.url("/a.ts")))
            wait_until(lambda: up.requests)
            proxy.send_signal(signal.SIGQUIT)
            proxy.wait_for_event("worker.draining")
            following = self.own_proxy({"pid_file": self.pid_file})
            self.assertEqual(self.order(following, "status").returncode, 0)
            proxy.send_signal(signal.SIGINT)
            proxy.process.wait(10)


class Orders(ServiceTest):
    def test_status_of_a_silent_master_is_reported_as_stale(self):
        proxy = self.start()
        proxy.send_signal(signal.SIGSTOP)
        status = self.order(proxy, "status")
        proxy.send_signal(signal.SIGCONT)
        self.assertEqual(status.returncode, 1)
        self.assertIn("state=serving", status.stdout)
        self.assertIn("has not answered", status.stderr)

    def test_an_unreadable_configuration_is_the_reported_reason(self):
        proxy = self.start()
        proxy.write_config("pid_file: [")
        done = self.order(proxy, "stop")
        self.assertEqual(done.returncode, 1)
        self.assertIn("which could not be read", done.stderr)
        self.assertNotIn("set `pid_file`", done.stderr)

    def test_reload_waits_for_the_new_workers(self):
        proxy = self.start()
        proxy.write_config({**proxy.settings, "cors": {"allow_origin": "https://new.example"}})
        done = self.order(proxy, "reload")
        self.assertEqual((done.returncode, done.stdout), (0, "reload 1: ok\n"), done.stderr)
        self.assertEqual(len(proxy.events_named("reload.done")), 1)
        wait_until(
            lambda: proxy.ask("/health")["Access-Control-Allow-Origin"] == "https://new.example"
        )
        self.assertEqual(self.order(proxy, "reload").stdout, "reload 2: ok\n")

    def test_reload_of_a_wrong_file_fails_with_the_reason_and_changes_nothing(self):
        proxy = self.start()
        workers = proxy.workers()
        proxy.write_config({**proxy.settings, "workers": "many", "colour": "red"})
        done = self.order(proxy, "reload")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(
            done.stderr, r"reload 1 failed: the configuration is wrong: \S+:\d+: workers.*1 more"
        )
        proxy.wait_for_event("reload.failed")
        self.assertEqual(proxy.workers(), workers)
        status = self.order(proxy, "status").stdout
        self.assertRegex(status, r"\nreload sequence=1 started_us=\d+ result=failed reason=")
        proxy.write_config(proxy.settings)
        self.assertEqual(self.order(proxy, "reload").stdout, "reload 2: ok\n")

    def test_reload_onto_an_address_in_use_fails_and_names_it(self):
        proxy = self.start()
        with taken_address() as address:
            proxy.write_config({**proxy.settings, "listen": ["127.0.0.1:0", address]})
            done = self.order(proxy, "reload")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"cannot listen on {address}", done.stderr)
        self.assertEqual(proxy.ask("/health").status, 200)

    def test_concurrent_reload_orders_all_succeed(self):
        proxy = self.start()
        done = []
        threads = [
            threading.Thread(target=lambda: done.append(self.order(proxy, "reload").returncode))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(done, [0] * 4)

    def test_a_reload_changes_the_number_of_workers(self):
        proxy = self.start()
        for workers in (3, 1):
            proxy.write_config({**proxy.settings, "workers": workers})
            self.assertEqual(self.order(proxy, "reload").returncode, 0)
            wait_until(lambda workers=workers: len(proxy.workers()) == workers)

    def test_status_prints_workers_generations_ages_and_exchanges(self):
        proxy = self.start()
        client, gate = self.stream_under_way(proxy)
        self.assertEqual(self.order(proxy, "reload").returncode, 0)
        done = self.order(proxy, "status")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, rf"^master pid={proxy.process.pid} version=\S+ state=serving")
        self.assertRegex(
            done.stdout,
            r"worker pid=\d+ slot=\d+ generation=1 state=draining age=\d+s .*exchanges=1",
        )
        self.assertRegex(done.stdout, r"worker pid=\d+ slot=\d+ generation=2 state=ready ")
        self.assertRegex(done.stdout, r"\nreload sequence=1 started_us=\d+ result=ok\n")
        self.assertRegex(done.stdout, r"\ntotal connections_accepted=[1-9]")
        self.assertEqual(proxy.events_named("state.master"), [])  # USR2 logs it, not this order
        self.finish_stream(client, gate)

    def test_reopen_opens_the_logs_again(self):
        proxy = self.start()
        log = self.pid_file + ".log"
        proxy.write_config({**proxy.settings, "log": {"error": log}})
        self.assertEqual(self.order(proxy, "reload").returncode, 0)
        os.rename(log, log + ".1")
        done = self.order(proxy, "reopen")
        self.assertEqual((done.returncode, done.stdout), (0, "reopen 1: ok\n"))
        self.assertTrue(os.path.exists(log))

    def test_stop_waits_for_the_end_and_leaves_nothing_behind(self):
        for order in ("stop", "quit"):
            proxy = self.start()
            done = self.order(proxy, order)
            self.assertEqual((done.returncode, done.stdout), (0, "stopped\n"), done.stderr)
            self.assertEqual(proxy.process.wait(5), 0)
            self.assertEqual(os.listdir(os.path.dirname(self.pid_file)), [])

    def test_stop_works_with_a_wrong_configuration(self):
        proxy = self.start()
        proxy.write_config({**proxy.settings, "colour": "red"})
        self.assertEqual(self.order(proxy, "stop").returncode, 0)

    def test_a_stale_pid_file_is_not_a_running_service(self):
        proxy = self.start()
        proxy.stop()
        for left in ("", str(proxy.process.pid), str(os.getpid()), "nonsense", "-1", "4294967297"):
            if left:
                with open(self.pid_file, "w", encoding="ascii") as file:
                    file.write(left)
            done = self.order(proxy, "stop")
            self.assertEqual(done.returncode, 3, done)
            self.assertIn(self.pid_file, done.stderr)

    def test_an_order_without_a_pid_file_fails(self):
        if os.path.exists("/etc/streamgate/streamgate.yaml"):
            self.skipTest("the order would be for the installed service")
        done = streamgate("-s", "status")
        self.assertEqual(done.returncode, 1)
        for advice in ("-c FILE", "`pid_file`", "--pid-file"):
            self.assertIn(advice, done.stderr)

    def test_an_unknown_order_is_refused(self):
        done = streamgate("-s", "relaod")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("reload", done.stderr)


class Notify(ServiceTest):
    def start_under(self, manager, **environment):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        self.pid_file = os.path.join(folder.name, "pid")
        proxy = Proxy(
            {"pid_file": self.pid_file},
            environment={"NOTIFY_SOCKET": manager, **environment},
        )
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.stop_and_check)
        return proxy

    def abstract_manager(self):
        name = f"streamgate-test-{os.getpid()}-{id(self)}"
        manager = ServiceManager("\0" + name)
        self.addCleanup(manager.socket.close)
        return manager, "@" + name

    def test_ready_reloading_and_stopping_are_notified(self):
        manager, name = self.abstract_manager()
        proxy = self.start_under(name)
        manager.wait_for("READY=1")
        manager.wait_for(f"MAINPID={proxy.process.pid}")
        manager.wait_for("STATUS=serving, generation 1: 1 of 1 workers ready")
        proxy.reload({"workers": 2})
        self.assertNotIn("READY=1", manager.wait_for("RELOADING=1"))
        manager.wait_for(r"MONOTONIC_USEC=\d+")
        self.assertNotIn("RELOADING=1", manager.wait_for("READY=1"))
        manager.wait_for("STATUS=serving, generation 2: 2 of 2 workers ready.*; last reload ok")
        proxy.write_config("colour: red\n")
        proxy.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING=1")
        manager.wait_for("READY=1")
        manager.wait_for("STATUS=.*; last reload failed: .*colour.*")
        proxy.send_signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1")

    def test_the_watchdog_is_fed_while_a_worker_lives(self):
        manager, name = self.abstract_manager()
        proxy = self.start_under(name, WATCHDOG_USEC="2000000")
        for _ in range(2):
            manager.wait_for("WATCHDOG=1")
        proxy.stop()

    def test_a_long_stop_extends_its_timeout(self):
        manager, name = self.abstract_manager()
        proxy = self.start_under(name)
        manager.wait_for("READY=1")
        client, gate = self.stream_under_way(proxy)
        proxy.send_signal(signal.SIGQUIT)
        manager.wait_for("STOPPING=1")
        manager.wait_for(r"EXTEND_TIMEOUT_USEC=\d+")
        self.finish_stream(client, gate)

    def test_a_failed_start_notifies_nothing(self):
        manager, name = self.abstract_manager()
        done = streamgate("-c", "/nonexistent", environment={"NOTIFY_SOCKET": name})
        self.assertEqual(done.returncode, 1)
        manager.socket.setblocking(False)
        self.assertRaises(BlockingIOError, manager.socket.recv, 1)


class Activation(ActivatedServiceTest):
    def test_inherited_sockets_replace_listen_and_outlive_reloads_and_the_service(self):
        unused = closed_port()
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            port = listening.getsockname()[1]
            process = self.start(listening, f"listen: 127.0.0.1:{unused}\n")
            self.assertIn(b" 200 ", self.health(port))
            done = streamgate("-c", self.config_file, "-s", "reload")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(b" 200 ", self.health(port))
            self.assertRaises(OSError, self.health, unused)
            process.terminate()
            self.assertEqual(process.wait(20), 0)
            # The socket is still open in the manager, so a client waits for the next start.
            with socket.create_connection(("127.0.0.1", port), 10):
                pass

    def test_an_inherited_socket_has_the_certificate_of_its_address(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket() as listening:
            authority = Authority(folder)
            certificate, key = authority.issue_files("IP:127.0.0.1")
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            address = listening.getsockname()
            self.start(
                listening,
                f"listen: {{address: '127.0.0.1:{address[1]}',"
                f" tls: {{certificate: {certificate}, key: {key}}}}}\n",
            )
            with Client(address, tls=authority.client_context()) as client:
                client.request("/health")
                self.assertEqual(client.read_response().status, 200)

    def test_an_ipv4_client_of_a_socket_for_both_families_has_its_ipv4_address(self):
        up = self.upstream(ok(b"x"))
        with socket.socket(socket.AF_INET6) as listening:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listening.bind(("::", 0))
            listening.listen()
            port = listening.getsockname()[1]
            security = {**with_tokens()["security"], "allow_private": True}
            limits = {"per_client": {"connections": 1}}
            settings = {"security": security, "limits": limits, "trusted_proxies": []}
            self.start(listening, "".join(f"{k}: {json.dumps(v)}\n" for k, v in settings.items()))
            with Client(("127.0.0.1", port)) as client:
                for claims, status in (({"ip": "127.0.0.1"}, 200), ({"ip": "::/0"}, 403)):
                    client.request(stream_path(up.url("/a"), sg_token=hs256(**claims)))
                    self.assertEqual(client.read_response().status, status, claims)
                # The proxy itself, which is reached at its IPv4 address.
                own = f"http://127.0.0.1:{port}/health"
                client.request(stream_path(own, sg_token=hs256()))
                self.assertEqual(client.read_response().status, 508)
                # Two addresses of IPv4 are two clients.
                for address, status in (("127.0.0.2", b" 200 "), ("127.0.0.1", b" 429 ")):
                    with socket.create_connection(
                        ("127.0.0.1", port), 10, source_address=(address, 0)
                    ) as other:
                        other.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                        self.assertIn(status, other.recv(100), address)

    def test_an_inherited_socket_that_does_not_listen_is_refused(self):
        with socket.socket() as idle:
            idle.bind(("127.0.0.1", 0))
            process = self.start(idle)
            self.assertEqual(process.wait(20), 1)
            self.assertIn("LISTEN_FDS", self.log())


if __name__ == "__main__":
    main()
