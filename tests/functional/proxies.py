"""Proxies for the tests of upstream.proxy: scripted byte by byte, and real ones that open tunnels.

    proxy = ScriptedProxy(lambda peer: ...)    the script reads and writes by itself
    proxy = HttpProxy(auth=b"user:pw")         CONNECT and requests in absolute form
    proxy = SocksProxy(user=b"u", password=b"p")
"""

import base64
import re
import socket
import struct
import threading


class Peer:
    """One connection of the proxy under test, with a buffer."""

    def __init__(self, connection):
        self.connection = connection
        self.pending = b""

    def read(self, size):
        while len(self.pending) < size:
            data = self.connection.recv(65536)
            if not data:
                raise ConnectionError("closed")
            self.pending += data
        taken, self.pending = self.pending[:size], self.pending[size:]
        return taken

    def read_head(self):
        while b"\r\n\r\n" not in self.pending:
            data = self.connection.recv(65536)
            if not data:
                raise ConnectionError("closed")
            self.pending += data
        head, self.pending = self.pending.split(b"\r\n\r\n", 1)
        return head

    def send(self, data):
        self.connection.sendall(data)

    def send_bytewise(self, data):
        for i in range(len(data)):
            self.connection.sendall(data[i : i + 1])

    def wait_for_close(self):
        self.connection.settimeout(60)
        while self.connection.recv(65536):
            pass


class ScriptedProxy:
    def __init__(self, script):
        self.script = script
        self.connections = 0
        self.errors = []
        self._open = set()
        self._lock = threading.Lock()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(512)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def address(self, host="127.0.0.1"):
        return f"{host}:{self.port}"

    def stop(self):
        for end in (self._socket, *self._open):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._socket.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.script(Peer(connection))
        except OSError as error:
            self.errors.append(error)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def tunnel(peer, target):
    threading.Thread(target=pump, args=(target, peer.connection), daemon=True).start()
    if peer.pending:
        target.sendall(peer.pending)
    pump(peer.connection, target)
    target.close()


class HttpProxy(ScriptedProxy):
    """`names` maps what a request may name to (host, port); other names are as they are."""

    def __init__(self, credentials=None, names=None):
        self.heads = []
        self.credentials = credentials
        self.names = names or {}
        super().__init__(self.talk)

    def talk(self, peer):
        while True:
            head = peer.read_head()
            self.heads.append(head)
            wanted = b"Proxy-Authorization: Basic " + base64.b64encode(self.credentials or b"")
            if self.credentials and wanted not in head:
                return peer.send(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b'Proxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
                )
            method, target, _ = head.split(b"\r\n")[0].split(b" ")
            if method == b"CONNECT":
                return self.connect(peer, target.decode())
            self.relay(peer, head, target)

    def connect(self, peer, authority):
        host, _, port = authority.rpartition(":")
        place = self.names.get(authority, (host.strip("[]"), int(port)))
        try:
            upstream = socket.create_connection(place, 5)
        except OSError:
            return peer.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        tunnel(peer, upstream)

    def relay(self, peer, head, target):
        authority, path = re.match(rb"http://([^/]+)(/.*)", target).groups()
        host, _, port = authority.decode().partition(":")
        place = self.names.get(authority.decode(), (host, int(port or 80)))
        lines = [line for line in head.split(b"\r\n")[1:] if not line.startswith(b"Proxy-")]
        with socket.create_connection(place, 5) as upstream:
            upstream.sendall(
                b"GET " + path + b" HTTP/1.1\r\nConnection: close\r\n" + b"\r\n".join(lines)
            )
            upstream.sendall(b"\r\n\r\n")
            while data := upstream.recv(65536):
                peer.send(data)
        raise ConnectionError("done")


class SocksProxy(ScriptedProxy):
    def __init__(self, user=None, password=None, names=None, bytewise=False):
        self.user, self.password = user, password
        self.names = names or {}
        self.targets = []
        self.offers = []
        self.bytewise = bytewise
        super().__init__(self.talk)

    def talk(self, peer):
        send = peer.send_bytewise if self.bytewise else peer.send
        version, count = peer.read(2)
        self.offers.append(peer.read(count))
        if self.user is None:
            send(b"\x05\x00")
        elif 2 not in self.offers[-1]:
            return send(b"\x05\xff")
        else:
            send(b"\x05\x02")
            _, size = peer.read(2)
            user = peer.read(size)
            password = peer.read(peer.read(1)[0])
            if (user, password) != (self.user, self.password):
                return send(b"\x01\x01")
            send(b"\x01\x00")
        _, command, _, kind = peer.read(4)
        if kind == 1:
            host = socket.inet_ntop(socket.AF_INET, peer.read(4))
        elif kind == 4:
            host = socket.inet_ntop(socket.AF_INET6, peer.read(16))
        else:
            host = peer.read(peer.read(1)[0]).decode()
        port = struct.unpack(">H", peer.read(2))[0]
        self.targets.append((version, command, host, port))
        try:
            upstream = socket.create_connection(self.names.get(host, (host, port)), 5)
        except OSError:
            return send(b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00")
        send(b"\x05\x00\x00\x03\x03abc\x12\x34")
        tunnel(peer, upstream)
