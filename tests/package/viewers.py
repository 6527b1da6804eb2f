"""Viewers of a proxy while it is upgraded: paced streams, and requests on new connections.

    viewers.py HOST:PORT COUNT    prints `watching` when every stream is under way, ends the streams
                                  when its input is closed, and prints its counts; exit status 1 if
                                  a stream or a request failed
"""

import asyncio
import sys
from urllib.parse import quote

PIECE = bytes(range(256)) * 8
PAUSE = 0.02


class Upstream:
    """Sends pieces until `over`, then the last chunk."""

    def __init__(self):
        self.over = asyncio.Event()

    async def serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /short"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nshort")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not self.over.is_set():
                writer.write(b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
                await writer.drain()
                await asyncio.sleep(PAUSE)
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()


class Viewers:
    def __init__(self, address, origin):
        self.host, _, self.port = address.rpartition(":")
        self.origin = origin
        self.watching = self.whole = self.requests = 0
        self.failures = []
        self.over = asyncio.Event()

    async def ask(self, path):
        reader, writer = await asyncio.open_connection(self.host, int(self.port))
        url = quote(self.origin + path, safe="")
        fields = f"Host: {self.host}\r\nConnection: close"
        writer.write(f"GET /stream?url={url} HTTP/1.1\r\n{fields}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(head)
        return reader, writer

    async def watch(self):
        try:
            reader, writer = await self.ask("/live")
            self.watching += 1
            received = 0
            while size := int(await reader.readuntil(b"\r\n"), 16):
                chunk = await reader.readexactly(size + 2)
                if chunk[0] != received % 256 or chunk[size - 1] != (received + size - 1) % 256:
                    raise ValueError(f"wrong byte near {received}")
                received += size
            self.whole += 1
            writer.close()
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            self.failures.append(f"a stream: {error!r}")

    async def request(self):
        while not self.over.is_set():
            try:
                reader, writer = await self.ask("/short")
                if await reader.read() != b"short":
                    raise ValueError("a short body is not whole")
                writer.close()
                self.requests += 1
            except (OSError, ValueError, asyncio.IncompleteReadError) as error:
                self.failures.append(f"a request: {error!r}")
            await asyncio.sleep(0.01)


async def main():
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 9000)
    viewers = Viewers(sys.argv[1], "http://127.0.0.1:9000")
    count = int(sys.argv[2])
    tasks = [asyncio.create_task(viewers.watch()) for _ in range(count)]
    while viewers.watching < count and not viewers.failures:
        await asyncio.sleep(0.05)
    tasks.append(asyncio.create_task(viewers.request()))
    print("watching", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    upstream.over.set()
    viewers.over.set()
    await asyncio.wait(tasks, timeout=30)
    server.close()
    print(f"streams={count} whole={viewers.whole} requests={viewers.requests}")
    for failure in viewers.failures[:10]:
        print("failed:", failure)
    sys.stdout.flush()
    return int(bool(viewers.failures) or viewers.whole != count or viewers.requests == 0)


sys.exit(asyncio.run(main()))
