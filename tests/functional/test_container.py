"""The service as the first process of a PID namespace, as in a container, and in our image."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from certificates import Authority
from harness import (
    BINARY,
    SANITIZER,
    Proxy,
    ProxyTest,
    children_of,
    closed_port,
    main,
    parse_line,
    stream_path,
    streamgate,
    wait_until,
    yaml,
)
from http_client import Client
from programs import is_static, put
from upstream import ok

DEPLOY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy")
# Exits with the status of the first process.
NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]


@unittest.skipUnless(os.geteuid() == 0, "only root can make a PID namespace")
class FirstProcess(ProxyTest):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="streamgate-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)
        self.log = os.path.join(self.folder, "log")
        self.start()
        self.wait_for_event("master.ready")
        (self.master,) = children_of(self.unshare.pid)

    def start(self):
        config = os.path.join(self.folder, "streamgate.yaml")
        with open(config, "w", encoding="ascii") as file:
            file.write(yaml(Proxy.DEFAULTS))
        self.run_first([*NAMESPACE, BINARY, "-c", config])
        self.config = os.path.join(self.folder, "bound.yaml")  # with the port that was chosen
        address = self.wait_for_event("listener.bound")["address"]
        with open(self.config, "w", encoding="ascii") as file:
            file.write(yaml({**Proxy.DEFAULTS, "listen": address}))

    def run_first(self, command, environment=None):
        with open(self.log, "wb") as log:
            self.unshare = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment
            )
        self.addCleanup(self.kill)

    def kill(self):
        self.unshare.kill()
        self.unshare.wait()
        with open(self.log, encoding="utf-8") as file:
            self.assertIsNone(SANITIZER.search(file.read()))

    def events(self):
        with open(self.log, encoding="utf-8") as file:
            return [parse_line(line) for line in file.read().split("\n")[:-1]]

    def wait_for_event(self, event):
        def find():
            return next((e for e in self.events() if e.get("event") == event), None)

        return wait_until(find, 30, event)

    def check(self):
        return streamgate("healthcheck", "-c", self.config).returncode

    def test_it_is_the_first_process_and_healthy(self):
        with open(f"/proc/{self.master}/status", encoding="utf-8") as file:
            ids = next(line for line in file if line.startswith("NSpid:")).split()
        self.assertEqual(ids[-1], "1")
        self.assertEqual(self.check(), 0)

    def test_it_reloads(self):
        os.kill(self.master, signal.SIGHUP)
        self.wait_for_event("reload.done")
        self.assertEqual(self.check(), 0)

    def test_a_dead_worker_is_replaced_and_leaves_no_zombie(self):
        (worker,) = children_of(self.master)
        os.kill(worker, signal.SIGKILL)
        self.wait_for_event("worker.died")
        wait_until(lambda: worker not in children_of(self.master), what="the end of the worker")
        wait_until(lambda: self.check() == 0, what="the next worker")

    def test_an_orphan_that_it_inherits_leaves_no_zombie(self):
        # The shell ends at once, and its child is then the child of the first process.
        enter = ["nsenter", f"--pid=/proc/{self.master}/ns/pid", "sh", "-c", "sleep 0.2 &"]
        before = set(children_of(self.master))
        subprocess.run(enter, check=True, timeout=20, stdout=subprocess.DEVNULL)
        wait_until(lambda: set(children_of(self.master)) == before, what="the end of the orphan")

    def test_a_stop_ends_it_with_status_0(self):
        os.kill(self.master, signal.SIGTERM)
        self.assertEqual(self.unshare.wait(20), 0)


# What `docker run --read-only --cap-drop ALL` does: a root directory that cannot be written to.
RUN_IMAGE = """
mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && mount -t proc proc "$0/proc" || exit 9
exec setpriv --no-new-privs chroot --userspec="$USER" --groups= "$0" "$@"
"""


@unittest.skipUnless(BINARY and is_static(BINARY), "the program is not static")
class Image(FirstProcess):
    """The files, the user, the command line and the health check of the Dockerfile."""

    def start(self):
        with open(os.path.join(DEPLOY, "container", "Dockerfile"), encoding="utf-8") as file:
            stage = file.read().rpartition("\nFROM scratch\n")[2].replace("\\\n", " ")
        said = lambda name: re.findall(rf"^{name} (.*)$", stage, re.M)
        self.root = os.path.join(self.folder, "root")
        os.makedirs(os.path.join(self.root, "proc"))
        self.authority = Authority(self.folder)
        built = {
            "/image/streamgate": BINARY,
            "/etc/ssl/certs/ca-certificates.crt": self.authority.certificate,
        }
        for source, target in (words.split()[-2:] for words in said("COPY")):
            place = os.path.join(self.root, target.lstrip("/"))
            os.makedirs(os.path.dirname(place), exist_ok=True)
            repository = source.replace("/source/", os.path.dirname(DEPLOY) + "/")
            put(built.get(source, repository), place)
        (self.user,) = said("USER")
        self.health = json.loads(said("HEALTHCHECK")[0].partition("CMD ")[2])
        line = [*json.loads(said("ENTRYPOINT")[0]), *json.loads(said("CMD")[0])]
        self.port = closed_port()
        # The configuration of the image, on an address of this test. Nothing of this environment:
        # SSL_CERT_FILE would replace the authorities of the image.
        self.environment = {
            "PATH": os.environ["PATH"],
            "STREAMGATE_LISTEN": f"127.0.0.1:{self.port}",
            "STREAMGATE_SECURITY_ALLOW_PRIVATE": "127.0.0.0/8",
            "STREAMGATE_WORKERS": "1",
            "USER": self.user,
        }
        self.run_first([*NAMESPACE, "sh", "-c", RUN_IMAGE, self.root, *line], self.environment)

    def check(self):
        user, group = self.user.split(":")
        enter = ["nsenter", f"--target={self.master}", "--pid", "--mount", "--root"]
        enter += [f"--setuid={user}", f"--setgid={group}"]
        done = subprocess.run(
            [*enter, *self.health],
            env=self.environment,
            capture_output=True,
            timeout=30,
            check=False,
        )
        return done.returncode

    def test_the_user_and_the_files_are_those_of_the_image(self):
        with open(f"/proc/{self.master}/status", encoding="ascii") as file:
            lines = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        self.assertEqual(lines["Uid"].split(), [self.user.split(":")[0]] * 4)
        self.assertEqual(int(lines["CapEff"], 16), 0)
        with Client(("127.0.0.1", self.port)) as client:
            client.request("/")  # the page, which the file of the image switches on
            self.assertEqual(client.read_response().status, 200)

    def test_upstreams_are_verified_by_the_authorities_of_the_image(self):
        up = self.upstream(ok(b"media"), tls=self.authority.issue("IP:127.0.0.1"))
        with Client(("127.0.0.1", self.port)) as client:
            client.request(stream_path(up.url("/a.ts")))
            response = client.read_response()
        self.assertEqual((response.status, response.body), (200, b"media"), response)


if __name__ == "__main__":
    main()
