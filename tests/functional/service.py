"""Helpers of the tests that run streamgate as a service: a pid file, orders, a service manager."""

import os
import re
import socket
import subprocess
import tempfile
import threading

from harness import BINARY, SANITIZER, ProxyTest, environment_with, streamgate, wait_until
from http_client import BadAnswer


class RepeatedRequests:
    """Four clients that request one URL, each time on a new connection, until stop()."""

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
            except (OSError, BadAnswer) as error:
                self.failures.append(error)

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


class ServiceTest(ProxyTest):
    """A proxy with a pid file."""

    def start(self, **settings):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        self.pid_file = os.path.join(folder.name, "pid")
        proxy = self.own_proxy({"pid_file": self.pid_file, **settings})
        proxy.wait_for_event("master.ready")
        wait_until(self.is_ready_in_the_status_file, what="the status file")
        return proxy

    def is_ready_in_the_status_file(self):
        if not os.path.exists(self.pid_file + ".status"):
            return False
        with open(self.pid_file + ".status", encoding="ascii") as file:
            return " state=starting " not in file.read()

    def order(self, proxy, order):
        return streamgate("-c", proxy.config_file, "-s", order)


class ServiceManager:
    """The notify socket of a service manager."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.socket.bind(name)
        self.unread = []

    def wait_for(self, line):
        """Receives until a line matches the regular expression `line`; returns the others."""
        before = []
        while True:
            if not self.unread:
                self.unread = self.socket.recv(4096).decode().split("\n")
            said = self.unread.pop(0)
            if re.fullmatch(line, said):
                return before
            before.append(said)


class ActivatedServiceTest(ProxyTest):
    """A proxy on a socket that the test has bound, as a service manager does."""

    def start(self, listening, settings="", binary=BINARY, environment=None):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        self.config_file = os.path.join(folder.name, "c.yaml")
        self.log_file = os.path.join(folder.name, "log")
        user = subprocess.check_output(["id", "-un"], text=True).strip()
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(f"workers: 1\nuser: {user}\npid_file: {folder.name}/pid\n{settings}")
        # exec keeps the shell's process, so LISTEN_PID is the service's own.
        command = 'exec 3<&"$0"; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        with open(self.log_file, "wb") as log:
            process = subprocess.Popen(
                ["bash", "-c", command, str(listening.fileno()), binary, "-c", self.config_file],
                pass_fds=[listening.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment_with(environment),
            )
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        process.terminate()
        process.wait(20)
        self.assertNotRegex(self.log(), SANITIZER)

    def log(self):
        with open(self.log_file, encoding="utf-8") as file:
            return file.read()

    @staticmethod
    def health(port):
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return client.makefile("rb").read()
