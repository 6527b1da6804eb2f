"""An upstream that sends exactly the bytes of a test's script.

    up = Upstream(ok(b"hello"))                     the same answer to every request
    up = Upstream([status(403), ok(b"hello")])      one after the other, the last one repeated
    up = Upstream({"/a.m3u8": ..., "/b.ts": ...})   by path (404 for the others)
    up = Upstream(lambda request: ...)              computed from the request

An answer is bytes, or an Answer that also has how they are sent and what follows them. Every
request head is kept in `up.requests`, every connection counted in `up.connections`.

By hand: `upstream.py --port 9000 --file clip.ts --slow 20000 --cut-after 1000000`.
"""

import argparse
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Callable, Optional


class Request:
    def __init__(self, raw, connection):
        self.raw = raw
        self.connection = connection  # its number, from 0
        lines = raw.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.method, self.target, self.version = lines[0].split(" ")
        self.path = self.target.partition("?")[0]
        self.fields = [tuple(line.split(": ", 1)) for line in lines[1:] if line]

    def __getitem__(self, name):
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        if len(values) > 1:
            raise AssertionError(f"{len(values)} fields {name} in {self.raw!r}")
        return values[0] if values else None


@dataclass
class Answer:
    data: bytes = b""
    then: str = (
        "keep"  # keep, close, drop (no TLS close_notify), reset, stall (until the peer closes)
    )
    piece: int = 0  # bytes per write; 0: all in one
    pause: float = 0.0  # seconds between two writes
    delay: float = 0.0  # seconds before the first byte
    body: Optional[Callable] = None  # a generator function of more bytes
    wait: Optional[threading.Event] = None  # waited for between `data` and `body`
    closed: threading.Event = field(default_factory=threading.Event)  # the peer has closed
    sent: int = 0  # bytes written so far

    def after(self, then):
        self.then = then
        return self

    def bytewise(self):
        self.piece = 1
        return self


def status(code, headers=(), body=b"", reason="Scripted", length=True):
    """An answer with its Content-Length, from parts."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    if length and code not in (204, 304):
        pairs.append(("Content-Length", str(len(body))))
    head = f"HTTP/1.1 {code} {reason}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in pairs) + "\r\n"
    return Answer(head.encode("latin-1") + body)


def ok(body=b"", headers=(), content_type="application/octet-stream"):
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    return status(200, [("Content-Type", content_type), *pairs], body)


def playlist(text, headers=(), content_type="application/vnd.apple.mpegurl"):
    return ok(text if isinstance(text, bytes) else text.encode(), headers, content_type)


def chunked(body, headers=(), content_type="application/octet-stream", size=7, last=True):
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n"
    head += "".join(f"{n}: {v}\r\n" for n, v in pairs) + "\r\n"
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    data = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces)
    return Answer(head.encode() + data + (b"0\r\n\r\n" if last else b""))


def redirect(location, code=302):
    return status(code, {"Location": location})


class Upstream:
    def __init__(self, script, host="127.0.0.1", tls=None, port=0, greeting=b""):
        self.script = script
        self.tls = tls
        self.greeting = greeting  # bytes sent before the first request
        self.requests = []
        self.connections = 0
        self.answers = []
        self.errors = []
        self._lock = threading.Lock()
        self._stopping = False
        self._open = set()
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        self._socket.listen(512)
        self.host, self.port = self._socket.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path="/", host=None):
        host = host or (f"[{self.host}]" if ":" in self.host else self.host)
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    @property
    def origin(self):
        return self.url("")

    def targets(self):
        return [request.target for request in self.requests]

    def stop_accepting(self):
        """Refuses new connections; open ones continue."""
        try:
            # A thread that sits in accept() keeps the port alive; shutdown wakes it.
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()

    def stop(self):
        self._stopping = True
        self.stop_accepting()
        with self._lock:
            for connection in list(self._open):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                number = self.connections
                self.connections += 1
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with self._lock:
                self._open.add(connection)
            self._converse(connection, number)
        except (OSError, ssl.SSLError) as error:
            self.errors.append(error)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _converse(self, connection, number):
        connection.sendall(self.greeting)
        pending = b""
        while not self._stopping:
            while b"\r\n\r\n" not in pending:
                data = connection.recv(65536)
                if not data:
                    return
                pending += data
            head, pending = pending.split(b"\r\n\r\n", 1)
            request = Request(head, number)
            with self._lock:
                self.requests.append(request)
                answer = self._answer_for(request)
                self.answers.append(answer)
            if not self._play(connection, answer):
                return

    def _answer_for(self, request):
        script = self.script
        if callable(script):
            script = script(request)
        elif isinstance(script, dict):
            script = script.get(request.path, status(404))
        if isinstance(script, list):
            script = script.pop(0) if len(script) > 1 else script[0]
            if callable(script):
                script = script(request)
        return Answer(script, then="close") if isinstance(script, bytes) else script

    def _play(self, connection, answer):
        """Sends one answer; returns False if it ends the connection."""
        try:
            if answer.delay:
                time.sleep(answer.delay)
            step = answer.piece or len(answer.data) or 1
            for start in range(0, len(answer.data), step):
                self._send(connection, answer, answer.data[start : start + step])
                if answer.pause:
                    time.sleep(answer.pause)
            if answer.wait:
                answer.wait.wait(30)
            for piece in answer.body() if answer.body else ():
                self._send(connection, answer, piece)
        except OSError:
            answer.closed.set()
            raise
        if answer.then == "keep":
            return True
        if answer.then == "stall":
            self._wait_for_close(connection, answer)
        if answer.then == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif isinstance(connection, ssl.SSLSocket) and answer.then == "close":
            connection.unwrap()
        return False

    @staticmethod
    def _send(connection, answer, data):
        connection.sendall(data)
        answer.sent += len(data)

    def _wait_for_close(self, connection, answer):
        connection.settimeout(60)
        try:
            while connection.recv(65536):
                pass
        except OSError:
            pass
        answer.closed.set()


def main():
    parser = argparse.ArgumentParser(description="An upstream to try the proxy by hand.")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--file", required=True, help="the file to send")
    parser.add_argument("--type", default="video/mp2t", help="its content type")
    parser.add_argument("--slow", type=int, default=0, help="bytes per second")
    parser.add_argument("--cut-after", type=int, default=0, help="reset after that many bytes")
    options = parser.parse_args()
    with open(options.file, "rb") as file:
        body = file.read()

    def script(_):
        answer = ok(body, content_type=options.type)
        if options.cut_after:
            answer.data, answer.then = answer.data[: options.cut_after], "reset"
        if options.slow:
            answer.piece, answer.pause = max(1, options.slow // 10), 0.1
        return answer

    up = Upstream(script, port=options.port)
    print(f"serving {options.file} on {up.url()}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
