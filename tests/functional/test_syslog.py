"""Logs to the journal of systemd and to syslog."""

import os
import re
import socket
import subprocess
import tempfile
import threading

from harness import BINARY, SANITIZER, ProxyTest, environment_with, main, wait_until, yaml
from http_client import Client
from upstream import ok

TIME = re.compile(rb"\d{4}-\d\d-\d\dT")


class Receiver:
    """Collects what arrives on a socket: a stream in lines, or datagrams."""

    def __init__(self, end):
        self.end, self.lines, self.rest = end, [], b""
        self.thread = threading.Thread(target=self.receive, daemon=True)
        self.thread.start()

    def receive(self):
        is_stream = self.end.type == socket.SOCK_STREAM
        while True:
            try:
                data = self.end.recv(65536)
            except OSError:
                return
            if not data:
                return
            if is_stream:
                *lines, self.rest = (self.rest + data).split(b"\n")
                self.lines += lines
            else:
                self.lines.append(data)

    def stop(self):
        self.end.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.end.close()

    def wait_for(self, pattern):
        def find():
            return next((line for line in self.lines if re.search(pattern, line)), None)

        return wait_until(find, what=pattern.decode())


class LogReceivers(ProxyTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-log-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        self.folder = folder.name

    def start(self, stderr, settings=None, journal=None):
        """The program, with its stderr and JOURNAL_STREAM of this file's numbers."""
        config = os.path.join(self.folder, "c.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(yaml({**self.settings, "listen": "127.0.0.1:0", **(settings or {})}))
        changes = {}
        if journal is not None:
            info = os.fstat(journal)
            changes = {"JOURNAL_STREAM": f"{info.st_dev}:{info.st_ino}"}
        process = subprocess.Popen(
            [BINARY, "-c", config],
            stdin=subprocess.DEVNULL,
            stderr=stderr,
            env=environment_with(changes),
        )
        self.addCleanup(self.end, process)
        self.config = config
        return process

    def end(self, process):
        if process.poll() is None:
            process.terminate()
        self.assertEqual(process.wait(20), 0)

    @staticmethod
    def ask(receiver, path="/health"):
        bound = receiver.wait_for(rb"listener\.bound .*address=127\.0\.0\.1:\d+")
        receiver.wait_for(rb"master\.ready")
        port = int(re.search(rb"address=127\.0\.0\.1:(\d+)", bound).group(1))
        with Client(("127.0.0.1", port)) as client:
            client.request(path)
            return client.read_response()

    def journal(self):
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        return Receiver(ours), theirs

    def test_lines_for_the_journal_have_a_priority_and_no_time(self):
        receiver, theirs = self.journal()
        process = self.start(theirs, journal=theirs.fileno())
        self.assertEqual(self.ask(receiver).status, 200)
        receiver.wait_for(rb"^<6>info master\.started pid=")
        receiver.wait_for(rb"^<6>access id=\S+ client=\S+ method=GET route=/health status=200 ")
        with open(self.config, "a", encoding="utf-8") as file:
            file.write("colour: red\n")
        process.send_signal(1)
        receiver.wait_for(rb"^<3>error config\.problem ")
        receiver.wait_for(rb"^<3>error reload\.failed ")
        self.end(process)
        for line in receiver.lines:
            self.assertRegex(line, rb"^<[3-7]>")
            self.assertIsNone(TIME.search(line), line)
            self.assertNotRegex(line.decode(), SANITIZER)

    def test_messages_of_check_have_a_priority_too(self):
        receiver, theirs = self.journal()
        info = os.fstat(theirs.fileno())
        subprocess.run(
            [BINARY, "--check"],
            stderr=theirs,
            stdout=subprocess.DEVNULL,
            check=False,
            env=environment_with(
                {
                    "JOURNAL_STREAM": f"{info.st_dev}:{info.st_ino}",
                    "STREAMGATE_WORKERS": "x",
                    "STREAMGATE_LOG_ACCESS": "off",
                }
            ),
        )
        receiver.wait_for(rb"^<3>streamgate: STREAMGATE_WORKERS: ")

    def test_another_stderr_than_the_journal_keeps_its_times(self):
        receiver, theirs = self.journal()
        self.start(theirs, journal=0)
        self.ask(receiver)
        receiver.wait_for(rb"^\d{4}-\d\d-\d\dT[\d:.]+Z info master\.started ")

    def syslog_socket(self, path):
        end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        end.bind(path)
        os.chmod(path, 0o777)
        self.addCleanup(end.close)
        return end

    def test_syslog_gets_one_datagram_for_each_line(self):
        path = os.path.join(self.folder, "dev-log")
        receiver = Receiver(self.syslog_socket(path))
        log = {
            "error": "syslog",
            "access": "syslog",
            "syslog": {"socket": path, "facility": "local3", "tag": "sg-1"},
        }
        process = self.start(subprocess.DEVNULL, {"log": log})
        self.assertEqual(self.ask(receiver).status, 200)
        access = receiver.wait_for(rb"access id=\S+ client=")
        local3 = 19 * 8
        date = rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
        line = rb"^<%d>%s sg-1\[\d+\]: access id=\S+ client=\S+ .*[^\n]$" % (local3 + 6, date)
        self.assertRegex(access, line)
        with open(self.config, "a", encoding="utf-8") as file:
            file.write("colour: red\n")
        process.send_signal(1)
        prefix = (local3 + 3, date, process.pid)
        receiver.wait_for(rb"^<%d>%s sg-1\[%d\]: error reload\.failed " % prefix)

    def test_a_restarted_syslog_is_found_and_lost_lines_are_counted(self):
        path = os.path.join(self.folder, "dev-log")
        proxy = self.own_proxy(
            {"log": {"access": "syslog", "syslog": {"socket": path, "facility": "daemon"}}}
        )
        self.assertEqual(proxy.ask("/health").status, 200)  # nothing listens: not waited for
        receiver = Receiver(self.syslog_socket(path))
        receiver.wait_for(rb"^<30>.* streamgate\[\d+\]: access id=\S+ client=")
        receiver.stop()
        os.unlink(path)
        receiver = Receiver(self.syslog_socket(path))
        self.assertEqual(proxy.ask("/health?again").status, 200)
        receiver.wait_for(rb"access id=\S+ client=")

    def test_a_syslog_that_takes_nothing_does_not_stop_the_service(self):
        path = os.path.join(self.folder, "dev-log")
        end = self.syslog_socket(path)  # never read
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        proxy = self.own_proxy({"log": {"access": "syslog", "syslog": {"socket": path}}})
        up = self.upstream(ok(b"x"))
        with proxy.connect() as client:
            for _ in range(50):
                client.request("/health?" + "x" * 8000)
                self.assertEqual(client.read_response().status, 200)
        self.assertEqual(proxy.stream(up.url()).status, 200)


if __name__ == "__main__":
    main()
