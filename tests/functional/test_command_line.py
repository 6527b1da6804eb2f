"""The options of the program: --version, --check, --print-config, and starts that fail."""

import os
import re
import subprocess
import tempfile
import unittest

from harness import BINARY, Proxy, main, streamgate, yaml


def without_comments(text):
    """A printed configuration without the origins of its values."""
    return re.sub("(?m)^ *# .*\n", "", text)


class CommandLine(unittest.TestCase):
    def config(self, text):
        file = tempfile.NamedTemporaryFile(
            "w", suffix=".yaml"
        )  # pylint: disable=consider-using-with
        file.write(text)
        file.flush()
        self.addCleanup(file.close)
        return file.name

    def test_version(self):
        done = streamgate("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"streamgate \d+\.\d+\.\d+")

    def test_check_accepts_a_good_file(self):
        done = streamgate("--check", "-c", self.config("listen: 127.0.0.1:0\n"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((done.stdout, done.stderr), ("the configuration is valid\n", ""))

    def test_a_wrong_command_line_is_a_usage_error(self):
        for words in (["--nonsense"], ["-s", "explode"], ["-c"], ["--check", "-s", "status"]):
            done = streamgate(*words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertIn(words[0].lstrip("-"), done.stderr)

    def test_check_reports_every_problem_with_its_line(self):
        done = streamgate(
            "--check",
            "-c",
            self.config("listen: nonsense\nworkers: 2\nworkers: 3\nlog:\n  leevl: info\n"),
        )
        self.assertNotEqual(done.returncode, 0)
        for words in (".yaml:1: ", ".yaml:3: ", ".yaml:5: ", "leevl", "level"):
            self.assertIn(words, done.stderr + done.stdout)

    def test_check_notes_missing_directories(self):
        text = (
            "listen: [127.0.0.1:0, unix:/nonexistent/a/s]\npid_file: /nonexistent/b/pid\n"
            "log: {access: /nonexistent/c/log, error: /error.log}\n"
        )
        done = streamgate("--check", "-c", self.config(text))
        self.assertEqual(done.returncode, 0, done.stderr)
        for key, letter in (("listen", "a"), ("pid_file", "b"), ("log.access", "c")):
            self.assertIn(f"note: {key}: there is no directory /nonexistent/{letter}", done.stderr)
        self.assertNotIn("log.error", done.stderr)

    def test_check_refuses_a_ca_file_without_a_certificate(self):
        done = streamgate("--check", "-c", self.config("upstream: {tls: {ca_file: /dev/null}}\n"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/dev/null", done.stderr + done.stdout)

    @unittest.skipUnless(os.geteuid() == 0, "needs root, for a mount")
    def test_orders_and_subcommands_without_a_file_use_the_installed_one(self):
        script = """mount -t tmpfs none /etc && mkdir /etc/streamgate &&
            echo 'colour: red' >/etc/streamgate/streamgate.yaml && exec "$@\""""
        url = "http://127.0.0.1:1/"
        for words, uses in (
            (["-s", "status"], True),
            (["-s", "purge", url], True),
            (["explain", url], True),
            (["healthcheck"], True),
            (["sign", url], True),
            (["-s", "status", "--pid-file", "/nonexistent"], False),
            (["--check"], False),
            (["--print-config"], False),
        ):
            done = subprocess.run(
                ["unshare", "--mount", "sh", "-c", script, "sh", BINARY, *words],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            found = "/etc/streamgate/streamgate.yaml:1: colour" in done.stdout + done.stderr
            self.assertEqual(found, uses, (words, done.stdout, done.stderr))

    def test_print_config_prints_the_same_for_its_own_output(self):
        first = streamgate(
            "--print-config", "-c", self.config("workers: 3\nupstream: {idle_timeout: 7s}\n")
        )
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertIn("idle_timeout: 7s", first.stdout)
        second = streamgate("--print-config", "-c", self.config(first.stdout))
        self.assertEqual(without_comments(second.stdout), without_comments(first.stdout))

    def test_unknown_options_and_missing_files_fail_with_a_message(self):
        for arguments in (("--nonsense",), ("-c", "/nonexistent/streamgate.yaml")):
            done = streamgate(*arguments)
            self.assertNotEqual(done.returncode, 0)
            self.assertTrue(done.stderr.strip())

    def test_a_failed_start_writes_its_reason_to_stderr_and_the_log(self):
        first = Proxy()
        self.addCleanup(first.remove)
        self.addCleanup(first.stop_and_check)
        with tempfile.TemporaryDirectory() as folder:
            settings = {"listen": f"127.0.0.1:{first.port}", "log": {"error": f"{folder}/log"}}
            done = streamgate("-c", self.config(yaml(settings)))
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"127.0.0.1:{first.port}", done.stderr)

    def test_a_start_on_an_address_in_use_fails_and_names_it(self):
        first = Proxy()
        self.addCleanup(first.remove)
        self.addCleanup(first.stop_and_check)
        done = streamgate("-c", self.config(yaml({"listen": f"127.0.0.1:{first.port}"})))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"127.0.0.1:{first.port}", done.stderr)
        self.assertEqual(first.ask("/health").status, 200)

    def test_listen_addr_is_used_when_no_file_sets_listen(self):
        proxy = Proxy(
            arguments=[],
            environment={"LISTEN_ADDR": "127.0.0.1:0", "ASAN_OPTIONS": "detect_leaks=0"},
        )
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.stop_and_check)
        self.assertEqual(proxy.host, "127.0.0.1")
        self.assertEqual(proxy.ask("/health").status, 200)


if __name__ == "__main__":
    main()
