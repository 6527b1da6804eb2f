"""Memory that a burst of connections uses can return to the kernel."""

import resource
import unittest

from harness import ProxyTest, main

SLOT = 24  # bytes; worker/loop/event_memory.cc


def resident_slots(pid):
    """The resident bytes of libevent's objects for descriptors, or None."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    expected = -(-min(descriptors, 1 << 20) * SLOT // resource.getpagesize())  # pages
    with open(f"/proc/{pid}/smaps", encoding="ascii") as file:
        fields = [line.split() for line in file]
    sizes = {}
    for words in fields:
        if words[0].endswith(":"):
            sizes[words[0]] = words[1:]
        if words[0] == "VmFlags:" and "nr" in words:
            pages = int(sizes["Size:"][0]) * 1024 // resource.getpagesize()
            if pages == expected:
                return int(sizes["Rss:"][0]) * 1024
    return None


class Burst(ProxyTest):
    connections = 600
    settings = {"workers": 1}

    def test_libevents_objects_for_descriptors_have_memory_of_their_own(self):
        proxy = self.proxy()
        worker = proxy.workers()[0]
        before = resident_slots(worker)
        if before is None:
            raise unittest.SkipTest("the memory has no mapping of its own")
        clients = [proxy.connect() for _ in range(self.connections)]
        for client in clients:
            client.request("/health")
        for client in clients:
            self.assertEqual(client.read_response().status, 200)
        self.assertGreater(resident_slots(worker) - before, self.connections * SLOT / 2)
        for client in clients:
            client.close()


if __name__ == "__main__":
    main()
