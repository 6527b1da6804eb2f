"""Variants of the program, and files that replace it in tests of upgrades."""

import os
import shutil
import struct

from harness import BINARY

TESTS = os.path.join(os.path.dirname(BINARY), "tests")
NEXT = os.path.join(TESTS, "streamgate_next")  # the same with another version
NEXT_VERSION = "99.0.0"
FAULTY = os.path.join(TESTS, "streamgate_faulty")  # fails as the file $STREAMGATE_FAULT says
POISONED = os.path.join(TESTS, "streamgate_poisoned")  # crashes at `poison: crash`
RECORDING = os.path.join(TESTS, "streamgate_recording")  # logs test.packet for each packet it sends
# A user-mode emulator runs the program: execve() of another one fails.
EMULATED = "EMULATED_STREAMGATE" in os.environ


def put(source, path):
    """Replaces a program file by a rename, as package managers do."""
    shutil.copy(source, path + ".new")
    os.replace(path + ".new", path)


def put_bytes(data, path):
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.chmod(path + ".new", 0o755)
    os.replace(path + ".new", path)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def is_static(path):
    """True for a 64-bit ELF file that names no loader."""
    pt_interp = 3
    with open(path, "rb") as file:
        header = file.read(64)
        if header[:5] != b"\x7fELF\x02":
            return False
        (offset,) = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        file.seek(offset)
        table = file.read(size * count)
    kinds = [struct.unpack_from("<I", table, i * size)[0] for i in range(count)]
    return pt_interp not in kinds


def patched(path, offset, data):
    """The bytes of a program with `data` at `offset`."""
    program = bytearray(read(path))
    program[offset : offset + len(data)] = data
    return bytes(program)


def with_another_scoreboard():
    """The next version with one counter added and one removed."""
    return read(NEXT).replace(b"resumes_done\0", b"resumes_gone\0")


def broken_programs():
    """Yields a name, the bytes, and a regular expression for the reason of the refusal."""
    yield "text", b"not a program\n", "is not a program"
    yield "script", b"#!/bin/sh\nexit 0\n", "is not a program"
    yield "empty", b"", "is not a program"
    yield "cut short", read(BINARY)[:4096], "cannot be executed|ended with"
    e_machine, e_entry = 18, 24
    other = 0xB7 if os.uname().machine != "aarch64" else 0x3E
    yield (
        "of another architecture",
        patched(BINARY, e_machine, struct.pack("<H", other)),
        "cannot be executed: Exec format error",
    )
    # /bin/true, because a sanitizer in our own program would write a report.
    yield "crashing at once", patched("/bin/true", e_entry, bytes(8)), r"ended with signal \w+"
    if b"libyaml-cpp.so" in read(BINARY):  # not in a static program
        yield (
            "without its library",
            read(BINARY).replace(b"libyaml-cpp.so", b"libyaml-cpq.so"),
            r"ended with status 127: .*libyaml-cpq\.so.*: cannot open shared object file",
        )
    yield "another program", read("/bin/true"), "is not a Streamgate that can take over"
