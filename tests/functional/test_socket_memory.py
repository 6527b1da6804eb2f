"""If the kernel's memory for sockets is used up, the worker reads only as much as sockets take."""

import os
import re
import tempfile
import unittest

from harness import ProxyTest, main, stream_path, streamgate, wait_until, wait_until_stopped
from upstream import Answer

CGROUPS = "/sys/fs/cgroup/memory"
MIB = 1 << 20
BLOCK = b"v" * 65536
LENGTH = 1 << 30


def can_limit():
    limit = CGROUPS + "/memory.kmem.tcp.limit_in_bytes"
    return os.path.exists(limit) and os.access(CGROUPS, os.W_OK)


@unittest.skipUnless(can_limit(), "needs memory.kmem.tcp.limit_in_bytes of control groups v1")
class SocketMemory(ProxyTest):
    settings = {"client": {"write_stall_timeout": "120s"}}

    def limited_group(self, limit):
        folder = tempfile.mkdtemp(prefix="streamgate-test-", dir=CGROUPS)

        def remove():
            try:
                os.rmdir(folder)
            except OSError:  # it is busy until the last process and the last socket have gone
                return False
            return True

        self.addCleanup(wait_until, remove, what="an empty control group")
        with open(folder + "/memory.kmem.tcp.limit_in_bytes", "w", encoding="ascii") as file:
            file.write(str(limit))
        return folder

    def viewers(self, proxy, count):
        """Viewers that have the head and read no byte of the body. Returns the answers."""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nContent-Length: {LENGTH}\r\n\r\n"
        answers = [
            Answer(head.encode(), body=lambda: (BLOCK for _ in range(LENGTH // len(BLOCK))))
            for _ in range(count)
        ]
        up = self.upstream(list(answers))
        clients = [proxy.connect(receive_buffer=4096) for _ in answers]
        for client in clients:
            self.addCleanup(client.close)
            client.request(stream_path(up.url("/a.ts")))
        for client in clients:
            self.assertEqual(client.read_head().status, 200)
        return answers

    @staticmethod
    def received(proxy):
        text = streamgate("-c", proxy.config_file, "-s", "status").stdout
        return int(re.search(r"\ntotal.* bytes_from_upstreams=(\d+)", text)[1])

    def test_no_more_is_read_than_sockets_take_while_socket_memory_is_short(self):
        group = self.limited_group(MIB)
        pid_file = os.path.join(tempfile.mkdtemp(prefix="streamgate-test-"), "pid")
        proxy = self.own_proxy({"pid_file": pid_file})
        for pid in (proxy.process.pid, *proxy.workers()):
            with open(group + "/cgroup.procs", "w", encoding="ascii") as file:
                file.write(str(pid))
        wait_until_stopped(*self.viewers(proxy, 20))
        with open(group + "/memory.kmem.tcp.usage_in_bytes", encoding="ascii") as file:
            self.assertGreaterEqual(int(file.read()), MIB)
        before = self.received(proxy)
        late = 20
        wait_until_stopped(*self.viewers(proxy, late))
        # Each viewer's kernel takes 8 to 10 KiB, its own and ours.
        self.assertLess((self.received(proxy) - before) / late, 20 * 1024)


if __name__ == "__main__":
    main()
