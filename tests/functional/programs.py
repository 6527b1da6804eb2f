"""Programs to replace the running one by: another version, and everything that is none."""

import os
import shutil
import struct

from harness import BINARY

TESTS = os.path.join(os.path.dirname(BINARY), "tests")
NEXT = os.path.join(TESTS, "streamgate_next")  # the same, but for its version
NEXT_VERSION = "99.0.0"
FAULTY = os.path.join(TESTS, "streamgate_faulty")  # breaks as the file $STREAMGATE_FAULT says


def put(source, path):
    """Replaces a program file as package managers do: never written while it runs."""
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


def patched(path, offset, data):
    """A program with other bytes at one place of its ELF header."""
    program = bytearray(read(path))
    program[offset : offset + len(data)] = data
    return bytes(program)


def with_another_scoreboard():
    """The next version, with a counter that the running one does not have, and without another."""
    return read(NEXT).replace(b"resumes_done\0", b"resumes_gone\0")


def broken_programs():
    """Yields a name, the bytes, and what the refusal has to say (a regular expression)."""
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
    # Not ours, in which a sanitizer would have a word to say.
    yield "crashing at once", patched("/bin/true", e_entry, bytes(8)), r"ended with signal \w+"
    yield (
        "without its library",
        read(BINARY).replace(b"libyaml-cpp.so", b"libyaml-cpq.so"),
        r"ended with status 127: .*libyaml-cpq\.so.*: cannot open shared object file",
    )
    yield "another program", read("/bin/true"), "is not a Streamgate that can take over"
