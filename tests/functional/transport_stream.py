"""MPEG-TS packets (ISO/IEC 13818-1) for the tests of live streams."""

PACKET = 188
PMT_PID, VIDEO_PID = 0x100, 0x101


def crc(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value.to_bytes(4, "big")


def section(table, number, content):
    size = 5 + len(content) + 4
    body = bytes([table, 0xB0 | size >> 8, size & 255]) + number.to_bytes(2, "big")
    body += b"\xc1\0\0" + content
    return b"\0" + body + crc(body)


def packet(pid, payload, begins=True, indicator=False):
    field = PACKET - 4 - len(payload)
    head = bytes([0x47, (0x40 if begins else 0) | pid >> 8, pid & 255, 0x30 if field else 0x10])
    if field:
        head += bytes([field - 1])
    if field > 1:
        head += (b"\x40" if indicator else b"\0") + b"\xff" * (field - 2)
    return head + payload


PAT = packet(0, section(0, 1, b"\0\1" + (0xE000 | PMT_PID).to_bytes(2, "big")))
PMT = packet(PMT_PID, section(2, 1, b"\xe1\x01\xf0\0\x1b\xe1\x01\xf0\0"))

# More than half of the smallest window.
PADDING = b"".join(packet(0x1FFF, b"%180d" % i, False) for i in range(800))


def frame(number, is_key=False, packets=1):
    """A picture in `packets` packets; each has its own content."""
    nal = b"\0\0\1" + (b"\x65" if is_key else b"\x41")
    first = b"\0\0\1\xe0\0\0\x80\0\0" + nal + b"%10d" % number
    rest = [packet(VIDEO_PID, b"%10d.%07d" % (number, i) * 10, False) for i in range(1, packets)]
    return packet(VIDEO_PID, first) + b"".join(rest)


def group(number, frames=4, packets=3):
    """A group of pictures, with the tables in front."""
    first = number * 1000
    pictures = [frame(first + i, i == 0, packets) for i in range(frames)]
    return PAT + PMT + b"".join(pictures)
