"""Titles of the processes, the service as process 1, orders by --pid-file, --check with users."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import unittest

from certificates import Authority
from harness import (
    BINARY, ProxyTest, children_of, environment_with, main, streamgate, wait_until, yaml
)
from name_server import UNSHARE_FLAGS, can_mount
from programs import NEXT, put
from service import ServiceTest

IS_ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")


def title(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().rstrip(b"\0").decode()


def name(pid):
    with open(f"/proc/{pid}/comm", encoding="ascii") as file:
        return file.read().strip()


def state(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0]


class Titles(ProxyTest):
    def start(self, **options):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        self.program = os.path.join(folder.name, "streamgate")
        put(BINARY, self.program)
        return self.own_proxy(binary=self.program, **options)

    def test_each_process_says_what_it_is(self):
        proxy = self.start()
        command = f"{self.program} -c {proxy.config_file}"
        master, (worker,) = proxy.process.pid, proxy.workers()
        self.assertEqual(title(master), f"streamgate: master: {command}")
        self.assertEqual(title(worker), f"streamgate: worker 0 of generation 1: {command}")
        self.assertEqual((name(master), name(worker)), ("streamgate", "streamgate-w0"))
        client, gate = self.stream_under_way(proxy)
        proxy.reload(proxy.settings)
        proxy.wait_for_event("reload.done")
        proxy.wait_for_event("worker.draining")
        draining = f"streamgate: worker 0 of generation 1 (draining): {command}"
        wait_until(lambda: title(worker) == draining, what="the title of the draining worker")
        titles = [title(pid) for pid in proxy.workers()]
        self.assertIn(f"streamgate: worker 1 of generation 2: {command}", titles)
        self.finish_stream(client, gate)

    def test_titles_and_variables_survive_an_upgrade(self):
        proxy = self.start(environment={"STREAMGATE_WORKERS": "2"})
        exe = os.readlink(f"/proc/{proxy.process.pid}/exe")
        self.assertEqual(exe, self.program)
        put(NEXT, self.program)
        proxy.mark()
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_for_event("upgrade.done", 60)
        self.assertEqual(proxy.wait_for_event("reload.done", 60)["workers"], "2")
        command = f"{self.program} -c {proxy.config_file}"
        self.assertEqual(title(proxy.process.pid), f"streamgate: master: {command}")
        self.assertEqual(name(proxy.process.pid), "streamgate")
        self.assertEqual(os.readlink(f"/proc/{proxy.process.pid}/exe"), self.program)

    def test_a_title_without_room_is_cut(self):
        config = os.path.join(tempfile.mkdtemp(prefix="streamgate-run-"), "c")
        self.addCleanup(shutil.rmtree, os.path.dirname(config))
        with open(config, "w", encoding="utf-8") as file:
            file.write(yaml({**self.settings, "listen": "127.0.0.1:0"}))
        # Without environment the title has the bytes of the arguments only.
        process = subprocess.Popen(
            ["sg", "-c", config], executable=BINARY, env={}, stderr=subprocess.PIPE
        )
        self.addCleanup(process.stderr.close)
        for line in process.stderr:
            if b"master.ready" in line:
                break
        whole = f"streamgate: master: sg -c {config}"
        self.assertEqual(title(process.pid), whole[: len(f"sg -c {config}")])
        process.terminate()
        self.assertEqual(process.wait(20), 0)


def can_be_process_1():
    command = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@unittest.skipUnless(can_be_process_1(), "needs a process namespace")
class Process1(ProxyTest):
    def test_as_process_1_it_reaps_orphans_and_stops_on_term(self):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        fifo, config, log = (os.path.join(folder.name, each) for each in ("fifo", "c", "log"))
        os.mkfifo(fifo)
        with open(config, "w", encoding="utf-8") as file:
            file.write(yaml({**self.settings, "listen": "127.0.0.1:0"}))
        # The orphan is a child of process 1, which becomes the service.
        script = f"(cat < {fifo} > {folder.name}/copy &); exec {BINARY} -c {config} 2> {log}"
        process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", script],
            stdin=subprocess.DEVNULL,
            env=environment_with({"ASAN_OPTIONS": "detect_leaks=0"}),
        )
        self.addCleanup(process.kill)

        def is_ready():
            with open(log, encoding="utf-8") as file:
                return "master.ready pid=1 " in file.read()

        wait_until(lambda: os.path.exists(log) and is_ready(), what="the service")
        (master,) = children_of(process.pid)
        (orphan,) = [pid for pid in children_of(master) if name(pid) in ("cat", "sh")]
        with open(fifo, "w", encoding="ascii") as file:
            file.write("x")
        wait_until(lambda: not os.path.exists(f"/proc/{orphan}"), what="the orphan to be reaped")
        self.assertEqual([pid for pid in children_of(master) if state(pid) == "Z"], [])
        os.kill(master, signal.SIGTERM)
        self.assertEqual(process.wait(20), 0)
        with open(log, encoding="utf-8") as file:
            self.assertIn("master.stopped pid=1 status=0", file.read())


class OrdersByPidFile(ServiceTest):
    def order(self, proxy, order):
        """Also for a service that the file of the configuration does not describe any more."""
        return streamgate("-c", proxy.config_file, "-s", order, "--pid-file", self.pid_file)

    def test_orders_work_with_broken_yaml(self):
        proxy = self.start()
        proxy.write_config("listen: [a\n")
        status = self.order(proxy, "status")
        self.assertEqual((status.returncode, status.stderr), (0, ""))
        self.assertIn(" state=serving ", status.stdout)
        reload = self.order(proxy, "reload")
        self.assertEqual(reload.returncode, 1)
        self.assertIn("reload 1 failed: the configuration is wrong", reload.stderr)
        self.assertEqual(self.order(proxy, "reopen").stdout, "reopen 1: ok\n")
        stop = self.order(proxy, "stop")
        self.assertEqual((stop.returncode, stop.stdout), (0, "stopped\n"))
        self.assertEqual(self.order(proxy, "status").returncode, 3)
        proxy.process.wait(20)

    def test_no_configuration_is_needed(self):
        self.start()
        done = streamgate("-s", "reload", "--pid-file", self.pid_file)
        self.assertEqual((done.returncode, done.stdout), (0, "reload 1: ok\n"), done)

    def test_the_option_is_for_orders_only(self):
        done = streamgate("--pid-file", "/run/x")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--pid-file", done.stderr)

    def test_broken_yaml_without_the_option_names_it(self):
        proxy = self.start()
        proxy.write_config("listen: [a\n")
        done = streamgate("-c", proxy.config_file, "-s", "status")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--pid-file", done.stderr)


@unittest.skipUnless(IS_ROOT, "needs other users")
class OrdersOfOtherUsers(ServiceTest):
    """Only `not running` has the exit status 3: scripts start the service then."""

    def order_as_nobody(self, *order, before=""):
        become = f'{before} exec setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"'
        line = [BINARY, "-s", *order, "--pid-file", self.pid_file]
        return subprocess.run(
            ["unshare", *UNSHARE_FLAGS.split(), "sh", "-c", become, "sh", *line],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            # LeakSanitizer does not work in a process that has changed its user.
            env=environment_with({"ASAN_OPTIONS": "detect_leaks=0"}),
        )

    def assert_refused(self, done, words):
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertIn(words, done.stderr)
        self.assertNotIn("not running", done.stderr)

    def start_in_public(self):
        proxy = self.start()
        self.folder = os.path.dirname(self.pid_file)
        os.chmod(self.folder, 0o755)
        return proxy

    def test_a_user_who_may_not_signal_the_service_is_told(self):
        proxy = self.start_in_public()
        for order in ("reload", "reopen", "stop", "quit", "streams"):
            self.assert_refused(self.order_as_nobody(order), "Operation not permitted")
        status = self.order_as_nobody("status")
        self.assertEqual((status.returncode, status.stderr), (0, ""))
        self.assertIn(f"pid={proxy.process.pid} ", status.stdout)

    def test_a_user_who_may_not_read_the_files_of_the_service_is_told(self):
        self.start_in_public()
        for path, mode in (
            (self.folder, 0o700),
            (self.pid_file, 0o600),
            (self.pid_file + ".status", 0o600),
        ):
            usual = os.stat(path).st_mode
            os.chmod(path, mode)
            for order in ("reload", "status", "streams"):
                self.assert_refused(self.order_as_nobody(order), "this user may not read /")
            os.chmod(path, usual)
        self.assertEqual(self.order_as_nobody("status").returncode, 0)

    @unittest.skipUnless(can_mount(), "needs a mount namespace")
    def test_a_user_who_may_not_see_the_process_is_told(self):
        proxy = self.start_in_public()
        for hidepid in ("noaccess", "invisible"):
            hide = f"mount -t proc -o hidepid={hidepid} proc /proc || exit 9;"
            done = self.order_as_nobody("status", before=hide)
            self.assert_refused(done, f"this user may not see process {proxy.process.pid}")

    def test_a_service_that_does_not_run_is_not_running_for_every_user(self):
        proxy = self.start_in_public()
        proxy.stop()
        self.assertEqual(self.order_as_nobody("status").returncode, 3)


@unittest.skipUnless(IS_ROOT, "needs other users")
class CheckWithUsers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="streamgate-check-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)
        self.secret = os.path.join(self.folder, "secret")
        os.mkdir(self.secret, 0o700)
        self.authority = Authority(self.secret)

    def check(self, user=None, **settings):
        config = os.path.join(self.folder, "c.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(yaml({"listen": "127.0.0.1:0", "user": "nobody", **settings}))
        done = subprocess.run(
            [BINARY, "--check", "-c", config],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env=environment_with(),
            user=user,
        )
        return done.returncode, done.stderr

    def test_workers_must_be_able_to_read_authorities(self):
        status, text = self.check(upstream={"tls": {"ca_file": self.authority.certificate}})
        self.assertEqual(status, 1)
        self.assertIn("upstream.tls.ca_file: user nobody cannot read", text)
        self.assertIn(f"{self.authority.certificate}: Permission denied", text)
        hosts = {"a.example": {"ca_file": self.authority.certificate}}
        self.assertIn("user nobody cannot read", self.check(upstream={"hosts": hosts})[1])
        os.chmod(self.secret, 0o755)
        settings = {"tls": {"ca_file": self.authority.certificate}}
        self.assertEqual(self.check(upstream=settings), (0, ""))

    def test_workers_must_reach_their_logs(self):
        for key in ("access", "error"):
            status, text = self.check(log={key: f"{self.secret}/log"})
            self.assertEqual(status, 1)
            self.assertIn(f"log.{key}: user nobody cannot write {self.secret}/log", text)
        # The master creates a log in a directory of root, and gives it to the workers' user.
        self.assertEqual(self.check(log={"access": f"{self.folder}/log"}), (0, ""))

    def test_the_master_reads_keys_that_workers_cannot_read(self):
        certificate, key = self.authority.issue_files("localhost")
        listen = [{"address": "127.0.0.1:0", "tls": {"certificate": certificate, "key": key}}]
        self.assertEqual(self.check(listen=listen), (0, ""))
        # A service that is not started as root reads them as its own user.
        status, text = self.check(user=NOBODY.pw_uid, listen=listen, pid_file=f"{self.secret}/pid")
        self.assertEqual(status, 1)
        self.assertIn(f"listen.tls.key: user nobody cannot read {key}", text)
        self.assertIn(f"pid_file: user nobody cannot write {self.secret}/pid", text)


if __name__ == "__main__":
    main()
