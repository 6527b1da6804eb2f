"""SIGHUP after a shared library of the program was replaced."""

import os
import re
import subprocess
import tempfile

from harness import BINARY, main
from programs import put
from upgrading import Upgrading


class Libraries(Upgrading):
    def test_a_reload_loads_a_library_that_was_replaced(self):
        listed = subprocess.run(["ldd", BINARY], capture_output=True, text=True, check=False).stdout
        found = re.search(r"(libyaml-cpp\S*) => (\S+)", listed)
        if not found:
            self.skipTest("the program has no shared libraries")
        folder = tempfile.TemporaryDirectory(prefix="streamgate-libraries-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        library = os.path.join(folder.name, found.group(1))
        put(found.group(2), library)
        proxy = self.start(environment={"LD_LIBRARY_PATH": folder.name})
        client, gate = self.stream_under_way(proxy)
        self.reload(proxy, 1)
        self.assertEqual(proxy.events_named("upgrade.started"), [])
        put(found.group(2), library)
        self.reload(proxy, 2)
        (started,) = proxy.events_named("upgrade.started")
        self.assertEqual(started["changed"], "libraries")
        self.assertEqual(len(proxy.events_named("upgrade.done")), 1)
        self.reload(proxy, 3)
        self.assertEqual(len(proxy.events_named("upgrade.started")), 1)
        self.finish_stream(client, gate)


if __name__ == "__main__":
    main()
