"""The completion of the command line in bash (deploy/completion)."""

import os
import shlex
import shutil
import subprocess
import unittest

from harness import BINARY, main

SCRIPT = os.path.join(
    os.path.dirname(__file__), "..", "..", "deploy", "completion", "streamgate.bash"
)


def completed(*line):
    """What bash offers for the last word of the line."""
    words = ["streamgate", *line]
    before, word = words[-2], words[-1]
    script = (
        f"source {shlex.quote(SCRIPT)}; COMP_WORDS=({shlex.join(words)}); "
        f"COMP_CWORD={len(words) - 1}; "
        f"_streamgate {shlex.join([BINARY, word, before])}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(
        ["bash", "-uc", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == "", done.stderr
    return sorted(set(done.stdout.split()))


@unittest.skipUnless(shutil.which("bash"), "bash is not installed")
class Completion(unittest.TestCase):
    def test_subcommands_are_offered_first(self):
        self.assertEqual(completed(""), ["explain", "healthcheck", "sign"])
        self.assertEqual(completed("si"), ["sign"])
        self.assertEqual(completed("-c", "/a.yaml", "ex"), ["explain"])

    def test_options_are_those_of_the_subcommand(self):
        self.assertIn("--print-config", completed("--p"))
        self.assertEqual(completed("explain", "--j"), ["--json"])
        self.assertEqual(completed("sign", "http://h/", "--"),
                         ["--config", "--for", "--help", "--ip", "--key", "--prefix"])
        self.assertEqual(completed("sign", "--print"), [])

    def test_orders_of_a_signal_are_words_of_the_program(self):
        orders = ["purge", "quit", "reload", "reopen", "status", "stop", "streams"]
        self.assertEqual(completed("-s", ""), orders)
        self.assertEqual(completed("--signal", "re"), ["reload", "reopen"])

    def test_files_are_offered_where_a_file_is_wanted(self):
        self.assertEqual(completed("-c", SCRIPT[:-4]), [SCRIPT])
        self.assertEqual(completed("-s", "stop", "--pid-file", SCRIPT[:-4]), [SCRIPT])

    def test_values_that_only_a_person_knows_have_no_words(self):
        self.assertEqual(completed("sign", "--for", ""), [])


if __name__ == "__main__":
    main()
