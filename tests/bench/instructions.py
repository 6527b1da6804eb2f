"""Counts with callgrind the user-space instructions of one request to Streamgate, by function.
Other load on the machine does not change the result."""

import argparse
import collections
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

import servers
import works

HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS = 8
WARM_UP = 200  # requests, because the first ones connect, resolve and grow buffers
READ_LIMIT = 60.0  # seconds; callgrind is about fifty times slower


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streamgate", type=pathlib.Path, metavar="PATH",
                        default=HERE.parent.parent / "build/release/streamgate",
                        help="the release binary (default: build/release/streamgate)")
    parser.add_argument("--file", default="live.m3u8",
                        choices=("live.m3u8", "1k.ts", "64k.ts", "long.m3u8"),
                        help="the requested file (default live.m3u8)")
    parser.add_argument("--server", default="streamgate", choices=servers.STREAMGATE_FORMS,
                        help="the form of the links, and whether they have grants")
    parser.add_argument(
        "--requests", type=int, default=2000, help="counted requests (default 2000)"
    )
    parser.add_argument("--at-most", type=int, metavar="N", help="fail if a request needs more")
    parser.add_argument(
        "--top", type=int, default=25, help="number of functions to show (default 25)"
    )
    parser.add_argument(
        "--inclusive", action="store_true", help="count the callees of a function too"
    )
    parser.add_argument("--profile", type=pathlib.Path, metavar="FILE",
                        help="keep the worker's profile, for callgrind_annotate or kcachegrind")
    parser.add_argument("--access-log", choices=("streamgate", "none"), default="streamgate",
                        help="with or without an access log (default: with)")
    options = parser.parse_args()
    options.workers, options.bulk_bytes = 1, works.MIB
    missing = [tool for tool in ("valgrind", "nginx", "openssl") if not shutil.which(tool)]
    if missing:
        sys.exit("missing: " + ", ".join(missing))
    return options


def read_answer(connection):
    """Reads one response, of known length or chunked, to its end."""
    bytes_read = b""
    while b"\r\n\r\n" not in bytes_read:
        piece = connection.recv(65536)
        if not piece:
            raise RuntimeError(f"closed after {bytes_read!r}")
        bytes_read += piece
    head, body = bytes_read.split(b"\r\n\r\n", 1)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"not an answer: {head!r}")
    if re.search(rb"(?im)^transfer-encoding: chunked", head):
        return read_chunks(connection, body)
    length = re.search(rb"(?im)^content-length: (\d+)", head)
    if not length:
        raise RuntimeError(f"not a whole answer: {head!r}")
    left = int(length[1]) - len(body)
    while left > 0:
        piece = connection.recv(min(left, 1 << 20))
        if not piece:
            raise RuntimeError("closed inside a body")
        left -= len(piece)


def read_chunks(connection, bytes_read):
    """Reads to the last chunk; no playlist contains its bytes."""
    while not bytes_read.endswith(b"\r\n0\r\n\r\n"):
        piece = connection.recv(1 << 20)
        if not piece:
            raise RuntimeError("closed inside a body")
        bytes_read = bytes_read[-16:] + piece


def ask(port, target, count):
    """Sends `count` requests over a few keep-alive connections in rotation."""
    request = (f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").encode()
    connections = [socket.create_connection(("127.0.0.1", port), READ_LIMIT)
                   for _ in range(CONNECTIONS)]
    for _ in range(count // CONNECTIONS):
        for connection in connections:
            connection.sendall(request)
        for connection in connections:
            read_answer(connection)
    for connection in connections:
        connection.close()


def profile(options, site, requests):
    """Runs a new Streamgate under callgrind. Returns its instructions and the worker's profile."""
    site.streamgate_prefix = ["valgrind", "--tool=callgrind", "-q", "--trace-children=yes",
                              "--callgrind-out-file=profile.%p"]
    server = site.start_streamgate(options.server)
    try:
        ask(server.port, server.target(options.file, False), requests)
    finally:
        server.stop()
    totals = {path: int(re.search(r"^(?:summary|totals): (\d+)", path.read_text(), re.M)[1])
              for path in server.directory.glob("profile.*")}
    if not totals:
        raise RuntimeError(f"callgrind wrote nothing:\n{server.output()}")
    return sum(totals.values()), max(totals, key=totals.get)


def read_functions(path, inclusive):
    """{(library, function): instructions} of one profile."""
    words = ["callgrind_annotate", f"--inclusive={'yes' if inclusive else 'no'}", "--auto=no",
             "--show-percs=no", "--threshold=100", str(path)]
    report = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    functions = collections.Counter()
    for count, function, library in re.findall(
            r"^\s*([\d,]+)  \S*?:(\S.*?)(?: \[(\S*)\])?$", report, re.M):
        functions[pathlib.Path(library).name, function] += int(count.replace(",", ""))
    return functions


def allocations(few, many):
    """The difference of two profiles in calls of the C library's allocator."""
    return count_allocations(many) - count_allocations(few)


def count_allocations(path):
    """A call is two lines, `cfn=(ID) NAME` and later `calls=COUNT TARGET`. The name is present only
    at the first use of its id."""
    ids, count, callee = set(), 0, None
    for line in path.read_text().splitlines():
        named = re.match(r"c?fn=\((\d+)\)(?: (\S+))?", line)
        if named and named[2] in ("malloc", "calloc", "realloc"):
            ids.add(named[1])
        if named and line.startswith("cfn="):
            callee = named[1]
        elif line.startswith("calls=") and callee in ids:
            count += int(line[6:].split()[0])
    return count


def show_functions(options, few, many):
    functions = read_functions(many, options.inclusive)
    functions.subtract(read_functions(few, options.inclusive))
    if not options.inclusive:
        libraries = collections.Counter()
        for (library, _), count in functions.items():
            libraries[library] += count
        for library, count in libraries.most_common(8):
            print(f"{count / options.requests:9.0f}  {library or 'streamgate, inlined'}")
    print(f"\ninstructions per request{', inclusive' if options.inclusive else ''}:")
    for (_, function), count in functions.most_common(options.top):
        print(f"{count / options.requests:9.0f}  {function[:100]}")


def main():
    options = parse_options()
    with tempfile.TemporaryDirectory(prefix="streamgate-bench-") as directory:
        works.write_documents(pathlib.Path(directory) / "root", options.bulk_bytes)
        servers.make_certificate(directory)
        site = servers.Site(directory, options)
        origin = site.start_origin()
        try:
            # Start and end are in both profiles, so the difference is the cost of the requests.
            few, few_path = profile(options, site, WARM_UP)
            many, path = profile(options, site, WARM_UP + options.requests)
            each = (many - few) / options.requests
            allocated = allocations(few_path, path) / options.requests
            print(f"{each:,.0f} instructions and {allocated:.1f} allocations per {options.file}")
            show_functions(options, few_path, path)
            if options.profile:
                shutil.copyfile(path, options.profile)
            if options.at_most and each > options.at_most:
                sys.exit(f"more than {options.at_most:,}")
        finally:
            origin.stop()


if __name__ == "__main__":
    main()
