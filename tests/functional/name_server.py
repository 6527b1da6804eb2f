"""A name server on UDP and TCP whose answers are raw bytes, for proxies that read a resolv.conf of
the test.

    names = NameServer({"a.test": Zone(v4=["127.0.0.1"])})
    names = NameServer(lambda question: question.answer(ttl=5, v4=["127.0.0.1"]))

A script gets a Question and returns the messages to send: bytes, a list of bytes (several
datagrams), or None (silence).
"""

import ipaddress
import os
import socket
import stat
import struct
import subprocess
import threading
from dataclasses import dataclass, field

from harness import BINARY, Proxy

A, AAAA, CNAME, OPT = 1, 28, 5, 41
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, REFUSED = 0, 1, 2, 3, 5


def encode_name(name):
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def record(name, kind, data, ttl=60):
    """`name` as bytes of the wire; b"\\xc0\\x0c" is the name of the question."""
    return name + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


QUESTION_NAME = b"\xc0\x0c"


class Question:
    def __init__(self, message, over):
        self.over = over  # "udp" or "tcp"
        self.id, _, _, _, _, additional = struct.unpack("!6H", message[:12])
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1 : at + 1 + message[at]].decode())
            at += message[at] + 1
        self.name = ".".join(labels)
        self.kind = struct.unpack("!H", message[at + 1 : at + 3])[0]
        self.section = message[12 : at + 5]
        self.edns_size = None
        rest = message[at + 5 :]
        if additional and rest[:3] == b"\0" + struct.pack("!H", OPT):
            self.edns_size = struct.unpack("!H", rest[3:5])[0]
        self.source = None

    def message(self, answers=(), rcode=NOERROR, truncated=False, count=None, **other):
        flags = 0x8180 | rcode | (0x0200 if truncated else 0)
        count = len(answers) if count is None else count
        head = struct.pack("!6H", other.get("id", self.id), flags, 1, count, 0, 0)
        return head + other.get("section", self.section) + b"".join(answers)

    def addresses(self, v4=(), v6=(), ttl=60, name=QUESTION_NAME):
        texts = v4 if self.kind == A else v6 if self.kind == AAAA else ()
        return [record(name, self.kind, ipaddress.ip_address(t).packed, ttl) for t in texts]

    def answer(self, v4=(), v6=(), ttl=60):
        return self.message(self.addresses(v4, v6, ttl))


@dataclass
class Zone:
    v4: list = field(default_factory=list)
    v6: list = field(default_factory=list)
    ttl: int = 60
    rcode: int = NOERROR

    def __call__(self, question):
        if self.rcode != NOERROR:
            return question.message(rcode=self.rcode)
        return question.answer(self.v4, self.v6, self.ttl)


class NameServer:
    def __init__(self, script, host="127.0.0.1"):
        self.script = script
        self.questions = []
        self._lock = threading.Lock()
        self._stopping = False
        self._tcp = socket.socket()
        self._tcp.bind((host, 0))
        self._tcp.listen(512)
        self.host, self.port = self._tcp.getsockname()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.udp.bind((host, self.port))
        self._thread = threading.Thread(target=self._serve_udp, daemon=True)
        self._thread.start()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def line(self):
        return f"nameserver {self.host}:{self.port}\n"

    def asked(self, name, over=None):
        with self._lock:
            return [q for q in self.questions if q.name == name and over in (None, q.over)]

    def stop(self):
        self._stopping = True
        try:
            # The port is free when the thread has left recvfrom().
            self.udp.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.udp.close()
        self._thread.join(5)
        self.refuse_tcp()

    def refuse_tcp(self):
        try:
            self._tcp.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._tcp.close()

    def _answer(self, message, over, source):
        question = Question(message, over)
        question.source = source
        with self._lock:
            self.questions.append(question)
        script = self.script
        if isinstance(script, dict):
            script = script.get(question.name, Zone(rcode=NXDOMAIN))
        reply = script(question)
        return [reply] if isinstance(reply, bytes) else reply or []

    def _serve_udp(self):
        while True:
            try:
                message, source = self.udp.recvfrom(65536)
                if self._stopping:
                    return
                for reply in self._answer(message, "udp", source):
                    self.udp.sendto(reply, source)
            except OSError:
                if self._stopping:
                    return

    def _accept(self):
        while True:
            try:
                connection, source = self._tcp.accept()
            except OSError:
                return
            thread = threading.Thread(
                target=self._serve_tcp, args=(connection, source), daemon=True
            )
            thread.start()

    def _serve_tcp(self, connection, source):
        with connection:
            pending = b""
            try:
                while True:
                    data = connection.recv(65536)
                    if not data:
                        return
                    pending += data
                    while len(pending) >= 2:
                        size = struct.unpack("!H", pending[:2])[0]
                        if len(pending) < 2 + size:
                            break
                        message, pending = pending[2 : 2 + size], pending[2 + size :]
                        for reply in self._answer(message, "tcp", source):
                            connection.sendall(struct.pack("!H", len(reply)) + reply)
            except OSError:
                return


WRAPPER = """#!/bin/sh
if [ -z "$STREAMGATE_NAMES" ]; then
  STREAMGATE_NAMES=1 exec unshare {flags} "$0" "$@"
fi
mount --bind {folder}/resolv.conf /etc/resolv.conf && exec {binary} "$@"
"""
UNSHARE_FLAGS = "--mount" if os.geteuid() == 0 else "--map-root-user --mount"


def can_mount():
    """Whether a process here may get an /etc/resolv.conf of its own."""
    command = ["unshare", *UNSHARE_FLAGS.split(), "mount", "--bind", "/etc", "/etc"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def write_resolv_conf(folder, text):
    """In place: the mount shows the same file."""
    with open(os.path.join(folder, "resolv.conf"), "w", encoding="ascii") as file:
        file.write(text)


def proxy_with_names(folder, resolv_conf, settings):
    """A proxy whose /etc/resolv.conf is the file of that name in `folder`."""
    write_resolv_conf(folder, resolv_conf)
    wrapper = os.path.join(folder, "streamgate")
    with open(wrapper, "w", encoding="ascii") as file:
        file.write(WRAPPER.format(flags=UNSHARE_FLAGS, folder=folder, binary=BINARY))
    os.chmod(wrapper, stat.S_IRWXU)
    return Proxy({"user": "root", **settings}, binary=wrapper)
