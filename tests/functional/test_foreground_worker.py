"""--foreground-worker: one worker in one process, without a master, for debuggers."""

import os
import shutil
import signal
import subprocess
import tempfile

from harness import BINARY, Proxy, ProxyTest, main, yaml
from upstream import ok


class ForegroundWorker(ProxyTest):
    def foreground_worker(self, settings=None):
        folder = tempfile.mkdtemp(prefix="streamgate-test-")
        self.addCleanup(shutil.rmtree, folder)
        config = os.path.join(folder, "foreground.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(yaml({**Proxy.DEFAULTS, **(settings or {})}))
        return self.own_proxy(
            arguments=["--foreground-worker", "-c", config], awaited="listener.bound"
        )

    def test_serves_in_one_process_and_stops_by_each_signal(self):
        up = self.upstream(ok(b"hello"))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            with self.subTest(signal=number.name):
                proxy = self.foreground_worker()
                self.assertEqual(proxy.stream(up.url("/a.ts")).body, b"hello")
                self.assertEqual(proxy.workers(), [])
                self.assertEqual(proxy.stop(number), 0)
                self.assertEqual(proxy.events_named("master.started"), [])

    def test_writes_no_pid_file(self):
        with tempfile.TemporaryDirectory() as folder:
            pid_file = os.path.join(folder, "pid")
            self.foreground_worker({"pid_file": pid_file}).stop()
            self.assertEqual(os.listdir(folder), [])

    def test_a_wrong_configuration_is_reported(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
            config.write("colour: red\n")
            config.flush()
            done = subprocess.run(
                [BINARY, "--foreground-worker", "-c", config.name],
                capture_output=True,
                text=True,
                timeout=20,
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn("config.problem", done.stderr)


if __name__ == "__main__":
    main()
