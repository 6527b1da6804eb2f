"""An HTTP client that reports every byte, the framing of the body, and how the connection ended.

http.client accepts malformed answers; this client raises BadAnswer.
"""

import socket
import ssl
import struct
import time
import zlib

TIMEOUT = 10.0  # seconds; the limit of a single read


class BadAnswer(Exception):
    """The bytes received are not a well-formed HTTP/1.x answer."""


class Response:
    """One answer. `complete`: the body has the length that its framing gives. `ended_by`: None (not
    ended), "fin" or "reset"; with TLS, "fin" is a close_notify and "cut" an end without one."""

    def __init__(self, head):
        lines = head.split(b"\r\n")
        parts = lines[0].split(b" ", 2)
        if len(parts) < 3 or parts[0] not in (b"HTTP/1.1", b"HTTP/1.0") or not parts[1].isdigit():
            raise BadAnswer(f"status line {lines[0]!r}")
        self.status = int(parts[1])
        self.version = parts[0].decode()
        self.fields = []
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or not name or name != name.strip() or b"\n" in line or b"\0" in line:
                raise BadAnswer(f"field line {line!r}")
            self.fields.append((name.decode("latin-1"), value.strip().decode("latin-1")))
        self.body = b""
        self.complete = False
        self.ended_by = None

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def __getitem__(self, name):
        """The value of the only field of that name, or None; raises if there are several."""
        values = self.all(name)
        if len(values) > 1:
            raise BadAnswer(f"{len(values)} fields {name}")
        return values[0] if values else None

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        state = "complete" if self.complete else "cut"
        return f"<{self.status} {self.fields} {self.body[:200]!r} {state}, {self.ended_by}>"


class Client:
    """One connection to the proxy. `tls` is an SSLContext, `session` a TLS session to resume."""

    def __init__(self, address, timeout=TIMEOUT, receive_buffer=None, tls=None, session=None):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        if tls:
            self.socket = tls.wrap_socket(
                self.socket,
                server_hostname=address[0],
                suppress_ragged_eofs=False,
                session=session,
            )
        self.pending = b""
        self.end = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with an RST instead of a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def send_bytewise(self, data, pause=0.0):
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for byte in data:
                self.socket.send(bytes([byte]))
                if pause:
                    time.sleep(pause)
        except (ConnectionResetError, BrokenPipeError):
            pass  # the proxy closed before the last byte; its answer is still to be read

    def request(self, target, headers=(), method="GET", version="1.1"):
        """Sends a request head; `headers` is a dict or a list of pairs."""
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
        lines = [f"{method} {target} HTTP/{version}"]
        if version == "1.1" and not any(name.lower() == "host" for name, _ in pairs):
            host, port = self.socket.getpeername()[:2]
            lines.append(f"Host: {'[' + host + ']' if ':' in host else host}:{port}")
        lines += [f"{name}: {value}" for name, value in pairs]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def receive_more(self):
        """Reads once into `pending`; False at the end of the connection (see `end`)."""
        if self.end:
            return False
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError:
            self.end = "reset"
            return False
        except ssl.SSLEOFError:
            self.end = "cut"
            return False
        if not data:
            self.end = "fin"
            return False
        self.pending += data
        return True

    def read_head(self):
        """The next head that is not of an interim answer; None if the connection ended first."""
        while True:
            while b"\r\n\r\n" not in self.pending:
                if not self.receive_more():
                    if self.pending:
                        raise BadAnswer(f"ended inside a head: {self.pending[:200]!r}")
                    return None
            head, self.pending = self.pending.split(b"\r\n\r\n", 1)
            response = Response(head)
            if response.status >= 200:
                return response

    def read_response(self, method="GET"):
        """The next answer with its body, or None. `complete` is False for a truncated body."""
        response = self.read_head()
        return None if response is None else self.read_body(response, method)

    def read_body(self, response, method="GET"):
        """The answer of read_head(), with its body."""
        coding, length = response["Transfer-Encoding"], response["Content-Length"]
        if coding and length:
            raise BadAnswer("both Transfer-Encoding and Content-Length")
        if coding and response.version == "HTTP/1.0":
            raise BadAnswer("Transfer-Encoding to an HTTP/1.0 client")
        if method == "HEAD" or response.status in (204, 304):
            response.complete = True
        elif coding:
            if coding != "chunked":
                raise BadAnswer(f"Transfer-Encoding {coding!r}")
            self._read_chunked(response)
        elif length is not None:
            response.body = self._take(int(length))
            response.complete = len(response.body) == int(length)
        else:
            while self.receive_more():
                pass
            response.body, self.pending = self.pending, b""
            response.complete = self.end == "fin"
        response.ended_by = self.end
        return response

    def read_to_end(self):
        """All bytes until the connection ends."""
        while self.receive_more():
            pass
        rest, self.pending = self.pending, b""
        return rest

    def _take(self, size):
        pieces, have = [self.pending], len(self.pending)
        while have < size:
            self.pending = b""
            if not self.receive_more():
                break
            pieces.append(self.pending)
            have += len(self.pending)
        data = b"".join(pieces)
        self.pending = data[size:]
        return data[:size]

    def _read_line(self):
        while b"\r\n" not in self.pending:
            if not self.receive_more():
                return None
        line, self.pending = self.pending.split(b"\r\n", 1)
        return line

    def _read_chunked(self, response):
        pieces = []
        while True:
            line = self._read_line()
            if line is None:
                break
            try:
                size = int(line, 16)
            except ValueError:
                raise BadAnswer(f"chunk size {line!r}") from None
            if size == 0:
                response.complete = self._read_line() == b""
                break
            data = self._take(size)
            pieces.append(data)
            if len(data) < size:
                break
            ending = self._read_line()
            if ending is None:
                break
            if ending:
                raise BadAnswer(f"after a chunk: {ending!r}")
        response.body = b"".join(pieces)


def gzip(data):
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()
