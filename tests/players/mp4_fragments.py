"""Splits a fragmented MP4 file into its initialization segment and its fragments."""

import os
import struct


def boxes(data):
    at = 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, data[at : at + size]
        at += size


def split(path, folder):
    """Writes init.mp4 and 0.m4s, 1.m4s ..; a fragment is `moof` with its `mdat`."""
    with open(path, "rb") as file:
        data = file.read()
    init, fragments = b"", []
    for kind, box in boxes(data):
        if kind in (b"ftyp", b"moov"):
            init += box
        elif kind == b"moof":
            fragments.append(box)
        elif kind == b"mdat":
            fragments[-1] += box
    for name, content in (("init.mp4", init), *((f"{i}.m4s", f) for i, f in enumerate(fragments))):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    os.remove(path)
