"""Starts the real binary with a configuration of the test and reads its log.

    class RangeTest(ProxyTest):
        def test_...(self):
            up = self.upstream(ok(b"hello"))
            response = self.proxy().stream(up.url("/a"))

Tests of a class with the same configuration share one Proxy. SIGTERM stops it after the class; its
exit status must be 0 and its log free of sanitizer reports. A failing test prints the proxy's log.
"""

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from datetime import datetime
from urllib.parse import quote, urlsplit

from http_client import TIMEOUT, Client
from upstream import Answer, Upstream

BINARY = os.environ.get("STREAMGATE_BINARY", "")
SANITIZER = re.compile(
    r"AddressSanitizer|LeakSanitizer|runtime error:|UndefinedBehavior|CHECK failed|terminate called"
    r"|worker\.call_refused"  # no part of a worker makes a call that its confinement refuses
)
MARK = "/mark"  # the path of the requests of Proxy.mark()
ALL_SKIPPED = 77  # exit status; ctest shows such a script as skipped (SKIP_RETURN_CODE)
FIELD = re.compile(r'([\w-]+)=("(?:[^"\\]|\\.)*"|[^ ]*)')


def wait_until(predicate, timeout=TIMEOUT, what="a condition"):
    """Polls until `predicate()` is true and returns its value; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:.0f} s for {what}")
        time.sleep(0.01)


def children_of(parent):
    """Its child processes, oldest first. The kernel's own list (/proc/PID/task/TID/children) may
    leave out a living child while another one exits."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended
        if int(fields[1]) == parent:  # after the name: the state, then the parent
            found.append((int(fields[19]), int(name)))  # the time of its start
    return [pid for _, pid in sorted(found)]


def yaml(settings):
    """A mapping as YAML, one line per top-level key: tests know the line of each problem."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items())


def stream_path(url, route="/stream", **parameters):
    query = "".join(f"&{name}={quote(value, safe='')}" for name, value in parameters.items())
    return f"{route}?url={quote(url, safe='')}{query}"


def path_link(url, carry="-", route="/at"):
    """The same request as a link of the path form."""
    return f"{route}/{carry}/{url.replace('://', '/', 1)}"


def link_target(link):
    """The request target of a link in a rewritten document."""
    parts = urlsplit(link)
    return f"{parts.path}?{parts.query}"


def parse_line(line):
    """One log line as a dict: `time`, `event` (and `level`), and its fields."""
    if line.startswith("{"):  # log.format: json
        return json.loads(line)
    words = line.split(" ")
    entry = {"time": words[0]}
    if len(words) > 1 and words[1] == "access":
        entry["event"] = "access"
    elif len(words) > 2:
        entry["level"], entry["event"] = words[1], words[2]
    for key, value in FIELD.findall(line):
        entry[key] = (
            value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
            if value.startswith('"')
            else value
        )
    return entry


def milliseconds():
    """The time of day, as log lines have it."""
    return time.time_ns() // 1_000_000


def log_time(entry):
    """The time of a log line, in seconds."""
    return datetime.fromisoformat(entry["time"].replace("Z", "+00:00")).timestamp()


def environment_with(changes=None):
    """The environment of the tests for the program. Their own STREAMGATE_ variables would be
    taken for keys of the configuration."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("STREAMGATE_")}
    return {**own, **(changes or {})}


def streamgate(*arguments, environment=None):
    """Runs the program to its end; the result has `returncode`, `stdout` and `stderr`."""
    return subprocess.run(
        [BINARY, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment_with(environment),
    )


class Proxy:
    """A running streamgate. `settings` override defaults that suit tests on loopback."""

    DEFAULTS = {
        "listen": "127.0.0.1:0",
        "workers": 1,
        # LeakSanitizer does not work in a process that has changed its user.
        "user": pwd.getpwuid(os.geteuid()).pw_name,
        "drain": {"idle": "100ms", "stop_timeout": "5s"},
        "security": {"allow_private": ["127.0.0.0/8", "::1/128"]},
    }

    def __init__(
        self,
        settings=None,
        text=None,
        environment=None,
        arguments=None,
        binary=BINARY,
        awaited="master.ready",
        tls=None,
    ):
        self.tls = tls  # the SSLContext of clients, where the first listener speaks TLS
        # Workers that change their user must be able to read it.
        self.folder = tempfile.mkdtemp(prefix="streamgate-test-")
        os.chmod(self.folder, 0o755)
        self.config_file = os.path.join(self.folder, "streamgate.yaml")
        self.log_file = os.path.join(self.folder, "log")
        self.settings = {**self.DEFAULTS, **(settings or {})}
        self.write_config(self.settings if text is None else text)
        self.stopped = False
        self.kept_log = None
        self._mark = 0
        self._awaited = awaited
        self.environment = environment_with(environment)
        self.environment.setdefault("ASAN_OPTIONS", "detect_leaks=1")
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen(
                [binary, *(arguments if arguments is not None else ["-c", self.config_file])],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
            )
        try:
            wait_until(self._is_ready, 30, awaited)
        except AssertionError:
            self.kill()
            raise AssertionError("the proxy did not start:\n" + self.log()) from None
        bound = next(e for e in self.events() if e["event"] == "listener.bound")
        host, _, port = bound["address"].rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)
        self.origin = f"{'https' if tls else 'http'}://{host}:{port}"

    def _is_ready(self):
        has_exited = self.process.poll() is not None  # first: after the exit the log is complete
        if any(e.get("event") == self._awaited for e in self.events()):
            return True
        if has_exited:
            raise AssertionError("the proxy has exited")
        return False

    # Its log.
    def log(self):
        if self.kept_log is not None:
            return self.kept_log
        with open(self.log_file, encoding="utf-8", errors="replace") as file:
            return file.read()

    def entries(self):
        return [parse_line(line) for line in self.log().split("\n")[:-1]]

    def events(self):
        return [entry for entry in self.entries() if entry.get("event") != "access"]

    def pid_serving(self, client):
        """The worker that serves the present request of the client."""
        name = "%s:%d" % client.socket.getsockname()

        def find():
            self.send_signal(signal.SIGUSR2)
            live = self.events_named("exchange.live")
            return next((int(e["pid"]) for e in live if e["client"] == name), None)

        return wait_until(find, what=f"the exchange of {name}")

    def events_named(self, name):
        return [entry for entry in self.events() if entry.get("event") == name]

    def access_log(self):
        """The exchanges that finished since the last mark()."""
        return [
            entry
            for entry in self.entries()
            if entry.get("event") == "access"
            and entry.get("route") != MARK
            and log_time(entry) >= self._mark
        ]

    def mark(self):
        """Excludes the exchanges so far from access_log(). Each worker writes its lines later, so
        their order says nothing, and access_log() compares their times, which are in milliseconds.
        The requests give exchanges whose client has just left the time to end. The next exchange
        begins in a later millisecond."""
        begin = end = milliseconds()
        while end == begin:
            self.ask(MARK)
            end = milliseconds()
        while milliseconds() == end:
            pass
        self._mark = (end + 1) / 1000

    def wait_for_access(self, count=1):
        wait_until(lambda: len(self.access_log()) >= count, what=f"{count} access-log lines")
        return self.access_log()[count - 1]

    def wait_for_event(self, event, timeout=TIMEOUT, **fields):
        def find():
            for entry in self.events():
                if entry.get("event") == event and all(
                    entry.get(k) == v for k, v in fields.items()
                ):
                    return entry
            return None

        return wait_until(find, timeout, f"the log event {event} {fields or ''}")

    # Its answers.
    def connect(self, **options):
        return Client((self.host, self.port), **{"tls": self.tls, **options})

    def ask(self, target, headers=(), method="GET", version="1.1"):
        """One request on a connection of its own."""
        with self.connect() as client:
            client.request(
                target,
                [
                    *(headers.items() if isinstance(headers, dict) else headers),
                    ("Connection", "close"),
                ],
                method,
                version,
            )
            return client.read_response(method)

    def stream(self, url, headers=(), method="GET", version="1.1", **parameters):
        return self.ask(stream_path(url, **parameters), headers, method, version)

    def is_serving(self):
        try:
            response = self.ask("/health")
            return response is not None and response.status == 200
        except OSError:
            return False

    # Its processes.
    def workers(self):
        return children_of(self.process.pid)

    def resident_bytes(self):
        """The largest resident size of a worker now."""
        sizes = []
        for pid in self.workers():
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                sizes.append(int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE"))
        return max(sizes)

    def write_config(self, settings):
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(settings if isinstance(settings, str) else yaml(settings))

    def send_signal(self, number):
        self.process.send_signal(number)

    def reload(self, settings):
        """Merges `settings` into the present ones and sends HUP; does not wait."""
        self.settings = {**self.settings, **settings}
        self.write_config(self.settings)
        self.send_signal(signal.SIGHUP)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.stopped = True

    def stop(self, number=signal.SIGTERM, timeout=20):
        """Stops the proxy and returns its exit status; a negative one is a signal."""
        if not self.stopped:
            self.stopped = True
            self.process.send_signal(number)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"still running {timeout} s after signal {number}") from None
        return self.process.returncode

    def stop_and_check(self):
        """Stops the proxy; fails on a sanitizer's report, a failed CHECK or an exit status."""
        code = self.stop()
        log = self.log()
        found = SANITIZER.search(log)
        if found:
            raise AssertionError(f"the log has {found.group(0)!r}:\n{log}")
        if code != 0:
            raise AssertionError(f"exit status {code}:\n{log}")

    def remove(self):
        self.kept_log = self.log()
        shutil.rmtree(self.folder, ignore_errors=True)


class ProxyTest(unittest.TestCase):
    """Gives tests proxies and upstreams, and stops them at the end."""

    maxDiff = None
    settings = {}  # defaults of every proxy of the class

    @classmethod
    def setUpClass(cls):
        cls._proxies = {}

    @classmethod
    def tearDownClass(cls):
        failure = None
        for proxy in cls._proxies.values():
            try:
                proxy.stop_and_check()
            except AssertionError as error:
                failure = error
            proxy.remove()
        if failure:
            raise failure

    def proxy(self, **settings):
        """A proxy that all tests of the class with the same settings share."""
        merged = {**self.settings, **settings}
        key = json.dumps(merged, sort_keys=True)
        running = self._proxies.get(key)
        if running is None:
            running = self._proxies[key] = Proxy(merged)
        else:
            running.mark()
        self._used.append(running)
        return running

    def own_proxy(self, settings=None, **options):
        """A proxy for one test, which may signal, reload or kill it."""
        return self.adopt(Proxy({**self.settings, **(settings or {})}, **options))

    def adopt(self, proxy):
        """Stops and checks a proxy at the end of the test."""
        self._used.append(proxy)

        def done():
            proxy.stop_and_check()
            proxy.remove()

        self.addCleanup(done)
        return proxy

    def upstream(self, script, **options):
        up = Upstream(script, **options)
        self.addCleanup(up.stop)
        return up

    def stream_under_way(self, proxy):
        """A client in the middle of a stream, and the event that lets the upstream finish it."""
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

    def finish_stream(self, client, gate):
        """Lets the stream of `stream_under_way` finish, and checks that it is complete."""
        gate.set()
        rest = client.read_to_end()
        self.assertEqual((rest, client.end), (b"firstlater", "fin"))

    def run(self, result=None):
        self._used = []
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            for proxy in self._used:
                print(
                    f"--- log of the proxy in {self.id()}\n{proxy.log()[-8000:]}---",
                    file=sys.stderr,
                )
        return result

    def assert_error(self, response, status, reason):
        """Our own error answer: status, stable reason in header and body, and its usual fields."""
        self.assertIsNotNone(response, "the connection ended without an answer")
        self.assertEqual(
            (response.status, response["X-Streamgate-Error"]), (status, reason), response
        )
        self.assertTrue(response.complete, response)
        self.assertIn("json", response["Content-Type"])
        self.assertIn(reason, json.dumps(json.loads(response.body)))
        self.assertEqual(response["Cache-Control"], "no-store")
        self.assertEqual(response["Access-Control-Allow-Origin"], "*")


def closed_port():
    """A loopback port on which nothing listens: it was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def taken_address():
    """A loopback address on which another socket listens."""
    with socket.socket() as rival:
        rival.bind(("127.0.0.1", 0))
        rival.listen()
        yield f"127.0.0.1:{rival.getsockname()[1]}"


def wait_until_stopped(*answers):
    """Waits until no answer has sent a byte for a second; returns the bytes sent by all of them."""
    state = [-1, 0.0]

    def is_stopped():
        sent = sum(answer.sent for answer in answers)
        if sent != state[0]:
            state[:] = sent, time.monotonic()
        return time.monotonic() - state[1] > 1.0

    wait_until(is_stopped, 60, "the upstream to be stopped")
    return state[0]


def main():
    if not BINARY or not os.access(BINARY, os.X_OK):
        sys.exit("set STREAMGATE_BINARY to the streamgate to test")
    result = unittest.main(verbosity=2, exit=False).result
    if result.wasSuccessful() and result.skipped and len(result.skipped) >= result.testsRun:
        sys.exit(ALL_SKIPPED)
    sys.exit(not result.wasSuccessful())
