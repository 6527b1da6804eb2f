"""Logs that nobody reads and disks that are full stop nobody: lines are dropped and counted."""

import contextlib
import fcntl
import os
import pty
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from harness import (
    BINARY,
    ProxyTest,
    children_of,
    closed_port,
    main,
    parse_line,
    stream_path,
    streamgate,
    wait_until,
    yaml,
)
from http_client import Client

# Seconds. A process that waits for its log would never answer. hostile.sh measures how fast it is.
PROMPT = 10
# One line of the access log with 3 KB.
LONG_REQUEST = stream_path(f"http://127.0.0.1:{closed_port()}/" + "x" * 3000)


def fill(descriptor):
    """Writes until nothing fits any more, and leaves the descriptor blocking."""
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"f" * 4096)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"f")
    os.set_blocking(descriptor, True)


def read_available(descriptor):
    os.set_blocking(descriptor, False)
    data = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(descriptor, 65536):
            data += piece
    return data


class Service:
    """A streamgate whose stderr is `stderr`."""

    def __init__(self, stderr, settings=None, arguments=(), user=None):
        self.folder = tempfile.mkdtemp(prefix="streamgate-test-")
        os.chmod(self.folder, 0o777)
        self.port = closed_port()
        self.config_file = os.path.join(self.folder, "c.yaml")
        self.settings = {
            "listen": f"127.0.0.1:{self.port}",
            "workers": 2,
            "user": "nobody" if user else "root" if os.geteuid() == 0 else "",
            "pid_file": os.path.join(self.folder, "pid"),
            "drain": {"idle": "100ms", "stop_timeout": "1s"},
            "security": {"allow_private": ["127.0.0.0/8"]},
            **(settings or {}),
        }
        if not self.settings["user"]:
            del self.settings["user"]
        self.write()
        self.process = subprocess.Popen(
            [BINARY, "-c", self.config_file, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            user=user,
        )

    def write(self, extra=""):
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(yaml(self.settings) + extra)

    def ask(self, target="/health"):
        with Client(("127.0.0.1", self.port)) as client:
            client.request(target, [("Connection", "close")])
            return client.read_response()

    def serves(self):
        try:
            return self.ask().status == 200
        except OSError:
            return False

    def workers(self):
        return children_of(self.process.pid)

    def order(self, name):
        return streamgate("-c", self.config_file, "-s", name)

    def end(self):
        if self.process.poll() is None:
            for worker in self.workers():
                os.kill(worker, signal.SIGKILL)
            self.process.kill()
            self.process.wait()


class FullLogTest(ProxyTest):
    def start(self, stderr, settings=None, arguments=(), user=None):
        service = Service(stderr, settings, arguments, user)
        self.addCleanup(service.end)
        wait_until(service.serves, 20, "the service to serve")
        return service

    def within(self, what, action):
        begun = time.monotonic()
        value = action()
        self.assertLess(time.monotonic() - begun, PROMPT, what)
        return value

    def check_that_everything_works(self, service):
        for _ in range(40):  # the access log, too, has more than fits
            self.within("a request", lambda: service.ask(LONG_REQUEST))
        done = self.within("-s reload", lambda: service.order("reload"))
        self.assertEqual((done.returncode, done.stdout), (0, "reload 1: ok\n"), done.stderr)
        wait_until(lambda: len(service.workers()) == 2, what="the old workers to leave")
        killed = service.workers()
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not set(killed) & set(service.workers()), PROMPT, "the deaths")
        wait_until(lambda: len(service.workers()) == 2 and service.serves(), PROMPT, "a respawn")
        self.within("-s status", lambda: self.assertEqual(service.order("status").returncode, 0))
        service.process.terminate()
        self.assertEqual(service.process.wait(PROMPT), 0)

    def pipe(self):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        self.addCleanup(os.close, write_end)
        return read_end, write_end


class StandardError(FullLogTest):
    def test_a_full_pipe_blocks_nobody(self):
        _, write_end = self.pipe()
        fill(write_end)
        self.check_that_everything_works(self.start(write_end))

    @unittest.skipUnless(os.geteuid() == 0, "only root can start it as another user")
    def test_a_full_pipe_of_another_user_blocks_nobody(self):
        _, write_end = self.pipe()
        fill(write_end)
        self.check_that_everything_works(self.start(write_end, user="nobody"))

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_workers_of_another_user_write_to_the_pipe_of_root(self):
        read_end, write_end = self.pipe()
        service = self.start(write_end, {"user": "nobody"})
        service.ask("/somewhere")
        text = b""

        def has_line():
            nonlocal text
            text += read_available(read_end)
            return b"route=/somewhere" in text

        wait_until(has_line, what="the line of a worker")

    def test_a_full_socket_blocks_nobody(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        fill(theirs.fileno())
        self.check_that_everything_works(self.start(theirs.fileno()))

    def test_a_stopped_terminal_blocks_nobody(self):
        display, terminal = pty.openpty()
        self.addCleanup(os.close, display)
        self.addCleanup(os.close, terminal)
        fill(terminal)
        self.check_that_everything_works(self.start(terminal))

    def test_the_flags_of_the_inherited_descriptor_stay(self):
        _, write_end = self.pipe()
        self.start(write_end)
        self.assertFalse(fcntl.fcntl(write_end, fcntl.F_GETFL) & os.O_NONBLOCK)

    def test_dropped_lines_are_reported_once_when_the_pipe_is_read(self):
        read_end, write_end = self.pipe()
        fill(write_end)
        service = self.start(write_end, {"workers": 1})
        service.process.send_signal(signal.SIGUSR2)
        for _ in range(400):  # of more than 1 KiB each; the access log keeps 256 KiB
            service.ask(LONG_REQUEST)
        self.assertEqual(service.order("status").returncode, 0)
        text = read_available(read_end).lstrip(b"f")

        def reports():
            nonlocal text
            text += read_available(read_end)
            lines = [parse_line(line) for line in text.decode().split("\n")[:-1]]
            return [line for line in lines if line.get("event") == "log.dropped"]

        wait_until(lambda: len(reports()) >= 2, what="the reports of both processes")
        service.ask("/again")
        wait_until(lambda: reports() and b"route=/again" in text, what="a later line")
        for _ in range(2):  # each is a turn of the master, which would report again
            self.assertEqual(service.order("status").returncode, 0)
        kinds = [(line["log"], line["pid"]) for line in reports()]
        self.assertEqual(len(kinds), len(set(kinds)), kinds)
        self.assertIn(("events", str(service.process.pid)), kinds)
        self.assertIn("access", dict(kinds))
        self.assertTrue(all(int(line["count"]) > 0 for line in reports()))
        for line in text.decode().split("\n")[:-1]:
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT")

    def test_a_foreground_worker_is_not_blocked(self):
        _, write_end = self.pipe()
        fill(write_end)
        service = self.start(write_end, arguments=["--foreground-worker"])
        for _ in range(40):
            self.within("a request", lambda: service.ask(LONG_REQUEST))
        service.process.terminate()
        self.assertEqual(service.process.wait(PROMPT), 0)

    def test_a_failed_start_and_a_failed_order_are_not_blocked(self):
        _, write_end = self.pipe()
        fill(write_end)
        service = self.start(subprocess.DEVNULL)
        for arguments in (["-s", "reload"], []):
            service.write("nonsense: 1\n")
            process = subprocess.Popen(
                [BINARY, "-c", service.config_file, *arguments],
                stdout=subprocess.DEVNULL,
                stderr=write_end,
            )
            self.assertEqual(process.wait(PROMPT), 1)


class Fifo(FullLogTest):
    def test_a_fifo_without_a_reader_blocks_nobody(self):
        folder = tempfile.mkdtemp(prefix="streamgate-test-")
        os.chmod(folder, 0o777)
        logs = {name: os.path.join(folder, name) for name in ("access", "error")}
        for path in logs.values():
            os.mkfifo(path, 0o666)
        self.check_that_everything_works(self.start(subprocess.DEVNULL, {"log": logs}))


@unittest.skipUnless(os.geteuid() == 0, "only root can mount a file system")
class FullDisk(FullLogTest):
    def disk(self):
        folder = tempfile.mkdtemp(prefix="streamgate-disk-")
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k,mode=777", "none", folder],
            check=False,
            capture_output=True,
        )
        if mounted.returncode != 0:
            os.rmdir(folder)
            self.skipTest(f"mount: {mounted.stderr.decode().strip()}")
        self.addCleanup(os.rmdir, folder)
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=True)
        return folder

    @staticmethod
    def fill_disk(folder):
        with open(os.path.join(folder, "filler"), "wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"f" * 1024)

    def start_on(self, folder, logs_too):
        settings = {"pid_file": os.path.join(folder, "pid")}
        if logs_too:
            settings["log"] = {name: os.path.join(folder, name) for name in ("access", "error")}
        service = self.start(subprocess.DEVNULL, settings)
        wait_until(lambda: os.path.exists(settings["pid_file"] + ".status"))
        return service

    def test_orders_report_their_outcome_with_a_full_disk(self):
        folder = self.disk()
        service = self.start_on(folder, logs_too=False)
        self.fill_disk(folder)
        for number in range(1, 4):
            done = self.within("-s reload", lambda: service.order("reload"))
            self.assertEqual((done.returncode, done.stdout), (0, f"reload {number}: ok\n"))
        with open(service.settings["pid_file"] + ".status", encoding="ascii") as file:
            self.assertIn("reload sequence=3 ", file.read())
        for key in ("access", "error"):
            service.settings["log"] = {key: f"/nonexistent/{key}.log"}
            service.write()
            done = self.within("-s reload", lambda: service.order("reload"))
            self.assertEqual(done.returncode, 1)
            self.assertIn("/nonexistent/", done.stderr)
        self.within("-s status", lambda: self.assertEqual(service.order("status").returncode, 0))
        done = self.within("-s stop", lambda: service.order("stop"))
        self.assertEqual((done.returncode, done.stdout), (0, "stopped\n"))

    def test_an_order_does_not_wait_for_a_status_that_cannot_be_written(self):
        service = self.start(subprocess.DEVNULL)
        status = service.settings["pid_file"] + ".status"

        def occupy():
            """A file cannot replace a folder that is not empty. The master may still write."""
            try:
                os.unlink(status)
                os.makedirs(status + "/occupied")
            except OSError:
                return False
            return True

        wait_until(occupy, what="a folder in place of the status file")
        begun = time.monotonic()
        done = service.order("reload")
        self.assertLess(time.monotonic() - begun, 10)
        self.assertEqual(done.returncode, 1)
        self.assertIn("has not written its status", done.stderr)

    def test_full_log_files_block_nobody_and_the_loss_is_reported(self):
        folder = self.disk()
        service = self.start_on(folder, logs_too=True)
        self.fill_disk(folder)
        for _ in range(20):
            self.within("a request", lambda: service.ask(LONG_REQUEST))
        path = os.path.join(folder, "error")
        size, grown = 0, time.monotonic()
        while time.monotonic() - grown < 1:  # the file's last page has room for some lines
            service.process.send_signal(signal.SIGUSR2)
            time.sleep(0.02)
            if os.path.getsize(path) != size:
                size, grown = os.path.getsize(path), time.monotonic()
        done = self.within("-s reload", lambda: service.order("reload"))
        self.assertEqual((done.returncode, done.stdout), (0, "reload 1: ok\n"), done.stderr)
        os.unlink(os.path.join(folder, "filler"))

        def report():
            with open(path, encoding="ascii") as file:
                lines = [parse_line(line) for line in file.read().split("\n")]
            return [e for e in lines if e.get("event") == "log.dropped"]

        reports = wait_until(report, what="the report of dropped lines")
        for name in ("access", "error"):  # nothing is appended to a part of a line
            with open(os.path.join(folder, name), encoding="ascii") as file:
                for line in file.read().split("\n")[:-1]:
                    self.assertRegex(line, r"^\d{4}-\d\d-\d\dT")
                    self.assertEqual(line.count("pid="), int(name == "error"), line)
        self.assertGreater(int(reports[0]["count"]), 0)
        service.process.terminate()
        self.assertEqual(service.process.wait(PROMPT), 0)


if __name__ == "__main__":
    main()
