"""SIGHUP after the program file was replaced: the new program takes over or is refused."""

import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from harness import (
    BINARY,
    Proxy,
    log_time,
    main,
    streamgate,
    taken_address,
    wait_until,
)
from programs import (
    FAULTY,
    NEXT,
    NEXT_VERSION,
    broken_programs,
    put,
    put_bytes,
    with_another_scoreboard,
)
from service import ActivatedServiceTest, RepeatedRequests, ServiceManager
from upgrading import Upgrading
from upstream import ok


def version_of(binary):
    return subprocess.check_output([binary, "--version"], text=True).split()[1]


THIS_VERSION = version_of(BINARY)


class Takeover(Upgrading):
    def test_the_new_program_keeps_the_process_and_old_streams_finish(self):
        proxy = self.start()
        old = proxy.workers()
        client, gate = self.stream_under_way(proxy)
        before = self.totals(proxy)
        put(NEXT, self.program)
        self.reload(proxy, 1)
        done = proxy.wait_for_event("upgrade.done", 60)
        self.assertEqual((done["from"], done["to"]), (THIS_VERSION, NEXT_VERSION))
        self.assertEqual(done["pid"], str(proxy.process.pid))
        self.assertEqual(self.version(proxy), NEXT_VERSION)
        self.assertIn(old[0], proxy.workers())
        self.assertEqual(proxy.ask("/health").status, 200)
        after = self.totals(proxy)
        self.assertEqual({n for n in before if after[n] < before[n]}, set(), "counted backwards")
        self.assertGreater(after["connections_accepted"], before["connections_accepted"])
        self.assertRegex(self.status(proxy), rf"worker pid={old[0]} slot=0 generation=1 .*draining")
        self.finish_stream(client, gate)
        wait_until(lambda: old[0] not in proxy.workers(), what="the old worker to exit")
        put(BINARY, self.program)
        self.reload(proxy, 2)
        self.assertEqual(self.version(proxy), THIS_VERSION)

    def test_a_stream_survives_three_upgrades(self):
        proxy = self.start()
        first = proxy.workers()[0]
        client, gate = self.stream_under_way(proxy)
        for sequence, program in enumerate((NEXT, BINARY, NEXT), 1):
            put(program, self.program)
            self.reload(proxy, sequence)
            self.assertIn(first, proxy.workers())
        self.assertEqual(len(proxy.events_named("upgrade.done")), 3)
        self.finish_stream(client, gate)
        wait_until(lambda: first not in proxy.workers(), what="the first worker to exit")
        self.assertEqual(proxy.events_named("worker.died"), [])

    def test_a_program_with_another_scoreboard_reads_that_of_old_workers(self):
        proxy = self.start(watchdog_timeout="2s")
        first = proxy.workers()[0]
        client, gate = self.stream_under_way(proxy)
        files = len(os.listdir(f"/proc/{proxy.process.pid}/fd"))
        before = self.totals(proxy)
        for sequence in (1, 2, 3):
            if sequence % 2:
                put_bytes(with_another_scoreboard(), self.program)
            else:
                put(BINARY, self.program)
            self.reload(proxy, sequence)
            self.assertRegex(self.status(proxy), rf"worker pid={first} .*draining .*exchanges=1\n")
            self.assertEqual(proxy.ask("/health").status, 200)
            after = self.totals(proxy)
            self.assertEqual("resumes_gone" in after, sequence % 2 == 1)
            backwards = {n for n in before if n in after and after[n] < before[n]}
            self.assertEqual(backwards, set(), "counted backwards")
            before = after
        time.sleep(2.5)  # longer than watchdog_timeout
        self.assertEqual(proxy.events_named("worker.stuck"), [])
        self.finish_stream(client, gate)
        wait_until(lambda: first not in proxy.workers(), what="the first worker to exit")
        self.assertEqual(proxy.events_named("worker.died"), [])
        wait_until(lambda: len(os.listdir(f"/proc/{proxy.process.pid}/fd")) <= files, 5, "files")

    def test_upgrades_lose_no_request_and_leak_no_descriptor(self):
        proxy = self.start(workers=2)
        up = self.upstream(lambda request: ok(b"x" * 1000))
        load = RepeatedRequests(proxy, up.url())
        self.addCleanup(load.stop)
        descriptors = lambda: len(os.listdir(f"/proc/{proxy.process.pid}/fd"))
        for sequence in range(1, 5):
            put(NEXT if sequence % 2 else BINARY, self.program)
            self.reload(proxy, sequence)
            if sequence == 1:
                wait_until(lambda: len(proxy.workers()) == 2, what="the old workers to exit")
                before = descriptors()
        load.stop()
        self.assertEqual(load.failures, [])
        self.assertGreater(load.served, 20)
        wait_until(lambda: len(proxy.workers()) == 2, what="the old workers to exit")
        wait_until(lambda: descriptors() <= before, 5, f"no more than {before} descriptors")

    def test_sighup_upgrades_too(self):
        proxy = self.start()
        put(NEXT, self.program)
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_for_event("reload.done", 60)
        self.assertEqual(self.version(proxy), NEXT_VERSION)

    def test_after_many_sighups_one_generation_serves(self):
        proxy = self.start()
        put(NEXT, self.program)
        for _ in range(100):
            proxy.send_signal(signal.SIGHUP)
            time.sleep(0.005)
        wait_until(
            lambda: " state=serving " in self.status(proxy) and len(proxy.workers()) == 1, 20
        )
        self.assertEqual(self.version(proxy), NEXT_VERSION)
        self.assertEqual(len(proxy.events_named("upgrade.done")), 1)
        self.assertLess(len(proxy.events_named("reload.started")), 50)
        self.assertEqual(proxy.events_named("reload.failed"), [])

    def test_a_stop_during_an_upgrade_is_not_lost(self):
        for event in ("upgrade.started", "upgrade.executing", "upgrade.done"):
            for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
                with self.subTest(event=event, signal=number):
                    proxy = self.start()
                    put(NEXT, self.program)
                    proxy.send_signal(signal.SIGHUP)
                    proxy.wait_for_event(event)
                    proxy.send_signal(number)
                    self.assertEqual(proxy.process.wait(15), 0)
                    proxy.stopped = True
                    self.assertFalse(os.path.exists(self.pid_file))

    def test_workers_that_die_during_an_upgrade_are_replaced(self):
        proxy = self.start(workers=2)
        victims = wait_until(lambda: len(proxy.workers()) == 2 and proxy.workers())
        put(NEXT, self.program)
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_for_event("upgrade.executing")
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        proxy.wait_for_event("reload.done", 15)
        for pid in victims:
            proxy.wait_for_event("worker.died", worker=str(pid))
        wait_until(lambda: len(proxy.workers()) == 2, what="two workers")
        victim = proxy.workers()[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(
            lambda: len(proxy.workers()) == 2 and victim not in proxy.workers(), 5, "a new worker"
        )
        self.assertEqual(proxy.ask("/health").status, 200)

    def test_a_unix_socket_survives_an_upgrade_and_is_removed_at_the_stop(self):
        with tempfile.TemporaryDirectory(prefix="streamgate-run-") as folder:
            path = os.path.join(folder, "socket")
            proxy = self.start(listen=["127.0.0.1:0", f"unix:{path}"])
            inode = os.stat(path).st_ino
            put(NEXT, self.program)
            self.reload(proxy, 1)
            self.assertEqual(os.stat(path).st_ino, inode)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                self.assertIn(b" 200 ", client.makefile("rb").readline())
            self.assertEqual(proxy.stop(), 0)
            self.assertFalse(os.path.exists(path))

    def test_a_reload_that_fails_after_an_upgrade_keeps_the_old_workers(self):
        """The trial does not bind sockets, so an address in use is found after the upgrade."""
        proxy = self.start(cors={"allow_origin": "https://old.example"})
        old = proxy.workers()
        with taken_address() as address:
            proxy.write_config({**proxy.settings, "listen": ["127.0.0.1:0", address]})
            put(NEXT, self.program)
            self.assertIn(f"cannot listen on {address}", self.refusal(proxy))
        self.assertEqual(self.version(proxy), NEXT_VERSION)
        self.assertEqual(proxy.workers(), old)
        os.kill(old[0], signal.SIGKILL)
        wait_until(lambda: proxy.workers() not in ([], old), what="a new worker")
        self.assertEqual(  # the replacement has the old generation's configuration
            proxy.ask("/health")["Access-Control-Allow-Origin"], "https://old.example"
        )
        proxy.write_config(proxy.settings)
        self.reload(proxy, 2)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_an_upgrade_keeps_the_configured_user(self):
        environment = {"ASAN_OPTIONS": "detect_leaks=0"}
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        self.program = os.path.join(folder.name, "streamgate")
        put(BINARY, self.program)
        os.chmod(self.program, 0o700)  # workers cannot execute it
        proxy = Proxy(
            {"user": "nobody", "pid_file": folder.name + "/pid"},
            environment=environment,
            binary=self.program,
        )
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.stop_and_check)
        put(NEXT, self.program)
        os.chmod(self.program, 0o700)
        self.reload(proxy, 1)
        self.assertEqual(self.version(proxy), NEXT_VERSION)
        with open(f"/proc/{wait_until(proxy.workers)[0]}/status", encoding="ascii") as file:
            self.assertNotIn("\t0", next(line for line in file if line.startswith("Uid:")))
        self.assertEqual(proxy.ask("/health").status, 200)


class Refusals(Upgrading):
    def assert_nothing_changed(self, proxy, workers):
        self.assertEqual(proxy.workers(), workers)
        self.assertEqual(proxy.ask("/health").status, 200)
        self.assertEqual(self.version(proxy), THIS_VERSION)
        self.assertIn(" result=failed reason=", self.status(proxy))

    def test_files_that_cannot_be_executed_are_refused_with_a_reason(self):
        proxy = self.start()
        workers = proxy.workers()
        for name, data, reason in broken_programs():
            with self.subTest(name):
                put_bytes(data, self.program)
                said = self.refusal(proxy)
                self.assertRegex(said, rf"the new program {self.program} is refused: .*({reason})")
                logged = proxy.events_named("upgrade.refused")[-1]
                self.assertRegex(logged["reason"], reason)
                self.assert_nothing_changed(proxy, workers)
        put(NEXT, self.program)
        done = self.order(proxy, "reload")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.version(proxy), NEXT_VERSION)

    def test_a_program_whose_worker_fails_is_refused(self):
        proxy = self.start()
        workers = proxy.workers()
        put(FAULTY, self.program)
        for fault, reason in (
            ("crash", "its worker ended with status 99"),
            ("cannot_start", "its worker ended with status 78"),
            ("refuse", "no such authority"),
        ):
            with self.subTest(fault):
                self.set_fault(fault)
                self.assertIn(reason, self.refusal(proxy))
                self.assert_nothing_changed(proxy, workers)

    def test_a_program_that_hangs_is_killed_with_its_worker_and_refused(self):
        proxy = self.start()
        workers = proxy.workers()
        put(FAULTY, self.program)
        for fault in ("hang", "hang_check"):
            with self.subTest(fault):
                self.set_fault(fault)
                self.assertIn("was not ready in time", self.refusal(proxy))
                wait_until(lambda: proxy.workers() == workers, 5, "the trial to be gone")
                self.assert_nothing_changed(proxy, workers)
        self.assertEqual(len(self.running()), 1 + len(workers))

    def test_no_process_survives_a_master_killed_during_a_trial(self):
        proxy = self.start(make=Proxy)
        self.addCleanup(proxy.remove)
        self.set_fault("hang")
        put(FAULTY, self.program)
        proxy.send_signal(signal.SIGHUP)
        # The master, its worker, the trial and the trial's worker.
        wait_until(lambda: len(self.running()) == 4, what="the trial")
        proxy.kill()
        wait_until(lambda: self.running() == [], 5, "every process to exit")

    def running(self):
        """The processes that were started from this program file, which may have been replaced."""
        found = subprocess.run(
            ["pgrep", "-f", self.program], capture_output=True, text=True, check=False
        )
        return found.stdout.split()

    def test_a_wrong_configuration_does_not_refuse_the_program(self):
        proxy = self.start()
        workers = proxy.workers()
        put(NEXT, self.program)
        proxy.write_config({**proxy.settings, "workers": "many", "colour": "red"})
        self.assertRegex(
            self.refusal(proxy), r"the configuration is wrong: \S+:\d+: workers.*1 more"
        )
        self.assertEqual(len(proxy.events_named("config.problem")), 2)
        self.assertEqual(proxy.events_named("upgrade.refused"), [])
        self.assert_nothing_changed(proxy, workers)
        proxy.write_config(proxy.settings)
        self.reload(proxy, 2)
        self.assertEqual(self.version(proxy), NEXT_VERSION)

    def test_an_unknown_user_or_a_wrong_certificate_does_not_refuse_the_program(self):
        proxy = self.start()
        workers = proxy.workers()
        put(NEXT, self.program)
        missing = {"certificate": "/nonexistent/c.pem", "key": "/nonexistent/k.pem"}
        garbage = {"certificate": proxy.config_file, "key": proxy.config_file}
        for wrong, reason in (
            ({"user": "nobody-at-all"}, "user: nobody-at-all: there is no such user"),
            ({"listen": {"address": "127.0.0.1:0", "tls": missing}}, "cannot read /nonexistent"),
            ({"listen": {"address": "127.0.0.1:0", "tls": garbage}}, proxy.config_file),
        ):
            with self.subTest(reason):
                proxy.write_config({**proxy.settings, **wrong})
                self.assertIn(f"failed: the configuration is wrong: {reason}", self.refusal(proxy))
                self.assertIn(reason, proxy.events_named("config.problem")[-1]["problem"])
                self.assertEqual(proxy.events_named("upgrade.refused"), [])
                self.assert_nothing_changed(proxy, workers)

    def test_without_a_program_file_the_running_one_reloads(self):
        proxy = self.start()
        os.unlink(self.program)
        self.reload(proxy, 1)
        self.assertIn("No such file", proxy.wait_for_event("upgrade.no_program")["reason"])
        self.assertEqual(self.version(proxy), THIS_VERSION)


class Managed(ActivatedServiceTest):
    """Under a service manager that binds the sockets and gets notifications."""

    def test_inherited_sockets_and_notify_socket_survive_an_upgrade(self):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        program = os.path.join(folder.name, "streamgate")
        put(BINARY, program)
        name = f"streamgate-test-{os.getpid()}-{id(self)}"
        manager = ServiceManager("\0" + name)
        self.addCleanup(manager.socket.close)
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            port = listening.getsockname()[1]
            process = self.start(
                listening, binary=program, environment={"NOTIFY_SOCKET": "@" + name}
            )
            manager.wait_for("READY=1")
            put(NEXT, program)
            done = streamgate("-c", self.config_file, "-s", "reload")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn("READY=1", manager.wait_for("RELOADING=1"))
            self.assertNotIn("RELOADING=1", manager.wait_for("READY=1"))
            manager.wait_for(f"MAINPID={process.pid}")
            self.assertIn("upgrade.done", self.log())
            self.assertIn(b" 200 ", self.health(port))
            process.terminate()
            self.assertEqual(process.wait(20), 0)
            with socket.create_connection(("127.0.0.1", port), 10):
                pass  # the socket is still open in the manager


class Holding(Upgrading):
    def test_a_reload_waits_while_too_many_workers_drain(self):
        proxy = self.start(drain={"idle": "100ms", "stop_timeout": "5s", "max_workers": 1})
        client, gate = self.stream_under_way(proxy)
        self.reload(proxy, 1)
        proxy.send_signal(signal.SIGHUP)
        held = proxy.wait_for_event("reload.held")
        self.assertEqual((held["draining"], held["max_workers"]), ("1", "1"))
        self.assertIn("drain.max_workers: 1", self.status(proxy))
        self.assertIn(" state=serving ", self.status(proxy))
        self.finish_stream(client, gate)
        wait_until(lambda: "reload sequence=2 " in self.status(proxy))
        self.assertNotIn("drain.max_workers", self.status(proxy))
        self.assertEqual(len(proxy.events_named("reload.held")), 1)

    def test_a_held_reload_ends_the_oldest_streams_after_the_patience(self):
        proxy = self.start(
            drain={
                "idle": "100ms",
                "timeout": "0s",
                "stop_timeout": "5s",
                "max_workers": 2,
                "patience": "2s",
            }
        )
        oldest, _ = self.stream_under_way(proxy)
        self.reload(proxy, 1)
        younger, gate = self.stream_under_way(proxy)
        self.reload(proxy, 2)
        proxy.send_signal(signal.SIGHUP)
        held = proxy.wait_for_event("reload.held")
        wait_until(lambda: "reload sequence=3 " in self.status(proxy))
        ended = proxy.wait_for_event("drain.patience_ended")
        self.assertEqual((ended["generation"], ended["draining"]), ("1", "2"))
        waited = log_time(ended) - log_time(held)
        self.assertGreaterEqual(waited, 1.9)
        self.assertLess(waited, 5)
        self.assertEqual((oldest.read_to_end(), oldest.end), (b"first", "reset"))
        wait_until(lambda: any(e["reason"] == "stopping" for e in proxy.access_log()))
        self.assertEqual(len(proxy.events_named("drain.patience_ended")), 1)
        self.finish_stream(younger, gate)

    def test_without_patience_a_held_reload_ends_no_stream(self):
        proxy = self.start(
            drain={"idle": "100ms", "stop_timeout": "5s", "max_workers": 1, "patience": "0s"}
        )
        client, gate = self.stream_under_way(proxy)
        self.reload(proxy, 1)
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_for_event("reload.held")
        time.sleep(2.5)
        self.assertEqual(len(proxy.events_named("drain.patience_ended")), 0)
        self.finish_stream(client, gate)
        wait_until(lambda: "reload sequence=2 " in self.status(proxy))

    def test_an_upgrade_waits_while_too_many_workers_drain_and_a_stop_does_not(self):
        proxy = self.start(drain={"idle": "100ms", "stop_timeout": "500ms", "max_workers": 1})
        self.stream_under_way(proxy)
        self.reload(proxy, 1)
        put(NEXT, self.program)
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_for_event("reload.held")
        self.assertEqual(self.version(proxy), THIS_VERSION)
        self.assertEqual(proxy.stop(), 0)


if __name__ == "__main__":
    main()
