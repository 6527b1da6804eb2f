"""The alert rules, the dashboard and the operator's manual name only metrics that exist."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import textwrap
import unittest

from admin import ADMIN, admin_address, metrics
from certificates import Authority
from harness import ProxyTest, main

DEPLOY = os.path.join(os.path.dirname(__file__), "../../deploy")
ALERTS = os.path.join(DEPLOY, "monitoring/streamgate-alerts.yaml")
DASHBOARD = os.path.join(DEPLOY, "monitoring/streamgate-dashboard.json")
MANUAL = os.path.join(DEPLOY, "OPERATIONS.md")
SELECTOR = re.compile(r"\b(streamgate_[a-z0-9_]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(?:=~|=)"([^"]*)"')


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Monitoring(ProxyTest):
    def names(self):
        """The names of all samples, and the values of their labels."""
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = Authority(folder).issue_files("IP:127.0.0.1")
            tls = {"certificate": certificate, "key": key}
            listen = ["127.0.0.1:0", {"address": "127.0.0.1:0", "tls": tls}]
            samples = metrics(admin_address(self.own_proxy({"listen": listen, "admin": ADMIN})))
        names = {}
        for sample in samples:
            name, _, labels = sample.partition("{")
            values = names.setdefault(name, {})
            for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
                values.setdefault(label, set()).add(value)
            if name.endswith("_bucket"):
                names.setdefault(name.removesuffix("_bucket"), {})
        return names

    def check(self, text):
        names = self.names()
        found = SELECTOR.findall(text.replace('\\"', '"'))
        self.assertGreater(len(found), 10)
        for name, matchers in found:
            self.assertIn(name, names)
            for label, pattern in MATCHER.findall(matchers):
                if label in ("instance", "job"):
                    continue
                for part in pattern.split("|"):
                    values = names[name].get(label, ())
                    self.assertTrue(
                        any(re.fullmatch(part, value) for value in values), (name, label, part)
                    )

    def test_each_metric_in_the_alert_rules_exists(self):
        self.check(read(ALERTS))

    def test_each_metric_in_the_dashboard_exists(self):
        panels = json.loads(read(DASHBOARD))["panels"]
        self.check(json.dumps([target["expr"] for panel in panels for target in panel["targets"]]))

    def test_each_metric_in_the_manual_exists(self):
        self.check(read(MANUAL))

    @unittest.skipUnless(shutil.which("promtool"), "needs promtool (the package prometheus)")
    def test_promtool_accepts_the_alert_rules(self):
        self.promtool("rules", ALERTS)

    @unittest.skipUnless(shutil.which("promtool"), "needs promtool (the package prometheus)")
    def test_promtool_accepts_the_configuration_of_the_manual(self):
        (lines,) = re.findall(r"^    scrape_configs:\n(?:      .*\n)+", read(MANUAL), re.M)
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            file.write(textwrap.dedent(lines))
            file.flush()
            self.promtool("config", file.name)

    def promtool(self, kind, path):
        checked = subprocess.run(
            ["promtool", "check", kind, path], capture_output=True, text=True, check=False
        )
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)


if __name__ == "__main__":
    main()
