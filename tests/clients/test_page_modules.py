"""The modules of the page for people that need no browser, in Node.js."""

import os
import shutil
import subprocess
import tempfile
import unittest

from players import HERE, main


@unittest.skipUnless(shutil.which("node"), "node is not installed")
class PageModules(unittest.TestCase):
    def test_they_do_what_page_modules_test_mjs_says(self):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-modules-")
        self.addCleanup(folder.cleanup)
        page = os.path.join(folder.name, "page")
        shutil.copytree(os.path.join(HERE, "..", "..", "worker", "pages", "page"), page)
        # Without it, older versions of Node.js take the files for CommonJS.
        with open(os.path.join(page, "package.json"), "w", encoding="utf-8") as file:
            file.write('{"type": "module"}')
        done = subprocess.run(
            ["node", "--test", os.path.join(HERE, "page_modules.test.mjs")],
            env={**os.environ, "PAGE": page},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    main()
