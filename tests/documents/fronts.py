"""Programs in front of the proxy, configured as deploy/RECIPES.md says."""

import os
import subprocess
import tempfile

from harness import wait_until
from http_client import Client
from players import PlayerTest


class FrontTest(PlayerTest):
    def front(self, program, arguments, port, text, cwd):
        """Starts the front; `text` is its configuration, and `cwd` its folder."""
        config = os.path.join(cwd, "config")
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
        log = open(os.path.join(cwd, "log"), "w+", encoding="utf-8")  # noqa: SIM115
        self.addCleanup(log.close)
        process = subprocess.Popen(
            [program, *arguments, config],
            stdout=log,
            stderr=log,
            cwd=cwd,
            env={**os.environ, "HOME": cwd},
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)

        def answers():
            self.assertIsNone(process.poll(), f"{program} has exited: see {log.name}")
            try:
                return self.ask_front(port, "/health").status == 200
            except OSError:
                return False

        wait_until(answers, 30, f"{program} in front of the proxy")

    @staticmethod
    def ask_front(port, target, headers=()):
        with Client(("127.0.0.1", port)) as client:
            client.request(target, [*headers, ("Connection", "close")])
            return client.read_response()

    def scratch(self):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-front-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        return folder.name

    def nginx(self, text, port, cwd):
        """Starts nginx with `text` inside its `http` block."""
        paths = "".join(
            f"{name}_temp_path {cwd}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        whole = (
            f"daemon off; pid {cwd}/pid; error_log {cwd}/errors; events {{}}\n"
            f"http {{ access_log off; {paths}\n{text} }}\n"
        )
        self.front("/usr/sbin/nginx", ["-p", cwd, "-e", f"{cwd}/errors", "-c"], port, whole, cwd)
