"""The metrics: their format, their values, and that counters never fall."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest
import urllib.request
from urllib.parse import quote

from admin import ADMIN, admin_address, ask, ask_json, metrics
from certificates import Authority
from harness import BINARY, ProxyTest, closed_port, main, wait_until
from programs import EMULATED, put, put_bytes, with_another_scoreboard
from upstream import ok, playlist, status

SAMPLE = re.compile(r'(streamgate_[a-z0-9_]+)(?:\{([a-z]+)="([^"]*)"\})? (-?[0-9.]+)')


def is_counter(name):
    return re.match(r"\w+(_total|_bucket|_sum|_count)\b", name) is not None


class Format(ProxyTest):
    settings = {"admin": ADMIN}

    def test_each_metric_has_help_and_type_and_only_bounded_labels(self):
        up = self.upstream(ok(b"hello"))
        proxy = self.proxy()
        proxy.stream(up.url("/secret-path?token=x"))
        response = ask(admin_address(proxy))
        self.assertEqual(response["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        described, labels = {}, set()
        for line in response.text.rstrip("\n").split("\n"):
            comment = re.fullmatch(r"# (HELP|TYPE) (\w+) (.+)", line)
            if comment:
                described.setdefault(comment[2], []).append(comment[1])
                continue
            sample = SAMPLE.fullmatch(line)
            self.assertIsNotNone(sample, line)
            family = re.sub(r"_(bucket|sum|count)$", "", sample[1])
            self.assertIn(sample[1] if sample[1] in described else family, described, line)
            labels.add(sample[2])
        self.assertLessEqual(labels, {None, "le", "reason", "worker", "kind", "version"})
        self.assertEqual({tuple(each) for each in described.values()}, {("HELP", "TYPE")})
        for secret in ("127.0.0.1", "secret-path", str(up.port)):
            self.assertNotIn(secret, response.text)

    @unittest.skipUnless(shutil.which("promtool"), "needs promtool (the package prometheus)")
    def test_promtool_accepts_the_metrics(self):
        proxy = self.proxy()
        text = ask(admin_address(proxy)).body
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
        )
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, b"", b""))


class Values(ProxyTest):
    settings = {"admin": ADMIN}

    def test_requests_are_counted_with_bytes_and_durations(self):
        listed = playlist("#EXTM3U\n#EXTINF:1,\na.ts\n")
        up = self.upstream({"/a": ok(b"x" * 1000), "/b": status(404), "/p.m3u8": listed})
        proxy = self.own_proxy()
        address = admin_address(proxy)
        for _ in range(3):
            proxy.stream(up.url("/a"))
        proxy.stream(up.url("/b"))
        proxy.stream(up.url("/p.m3u8"))
        proxy.stream(f"http://127.0.0.1:{closed_port()}/")
        proxy.ask("/health")
        values = metrics(address)
        self.assertEqual(values["streamgate_exchanges_started_total"], 7)
        self.assertEqual(values['streamgate_exchanges_failed_total{reason="connect_failed"}'], 1)
        self.assertEqual(values['streamgate_exchanges_failed_total{reason="loop"}'], 0)
        self.assertNotIn("streamgate_exchanges_failed_total", values)
        self.assertGreaterEqual(values["streamgate_bytes_to_clients_total"], 3000)
        self.assertEqual(values["streamgate_playlists_rewritten_total"], 1)
        self.assertEqual(values["streamgate_exchange_duration_seconds_count"], 6)
        self.assertEqual(values["streamgate_first_byte_duration_seconds_count"], 5)
        opened = values["streamgate_upstream_connections_opened_total"]
        self.assertEqual(values["streamgate_connect_duration_seconds_count"], opened)
        self.assertEqual(
            values['streamgate_exchange_duration_seconds_bucket{le="+Inf"}'], 6
        )

    def test_the_buckets_of_a_histogram_are_cumulative(self):
        values = metrics(admin_address(self.proxy()))
        for name in ("connect", "first_byte", "exchange"):
            counts = [
                (float(found[1]), value)
                for key, value in values.items()
                if (found := re.fullmatch(
                    rf'streamgate_{name}_duration_seconds_bucket\{{le="(.*)"\}}', key
                ))
            ]
            self.assertEqual(counts, sorted(counts))
            self.assertEqual([value for _, value in counts], sorted(v for _, v in counts))
            self.assertEqual(counts[0][0], 0.001)
            self.assertEqual(counts[-1][0], float("inf"))

    def test_exchanges_and_streams_now_are_counted_by_worker_and_kind(self):
        up = self.upstream(ok(b"x" * 100_000_000))
        proxy = self.own_proxy()
        address = admin_address(proxy)
        with proxy.connect() as client:
            client.request(f"/stream?url={up.url('/a')}")
            client.read_head()
            self.assertEqual(metrics(address)['streamgate_exchanges{worker="0"}'], 1)
            wait_until(lambda: metrics(address)['streamgate_streams{kind="file"}'] == 1)
            wait_until(lambda: metrics(address)["streamgate_bytes_to_clients_total"] > 0)
            wait_until(lambda: metrics(address)['streamgate_upstream_connections{worker="0"}'] == 1)
        wait_until(lambda: metrics(address)['streamgate_exchanges{worker="0"}'] == 0)
        wait_until(lambda: metrics(address)['streamgate_streams{kind="file"}'] == 0)

    def test_bytes_in_the_sockets_of_clients_are_a_metric(self):
        up = self.upstream(ok(b"x" * 30_000_000))
        proxy = self.own_proxy({"workers": 2})
        address = admin_address(proxy)

        def in_sockets():
            seen = metrics(address)
            return sum(seen[f'streamgate_bytes_in_sockets{{worker="{i}"}}'] for i in (0, 1))

        with proxy.connect(receive_buffer=4096) as client:
            client.request(f"/stream?url={up.url('/a')}")
            head = client.read_head()
            wait_until(lambda: in_sockets() > 100_000)
            workers = ask_json(address, "/status")["workers"]
            self.assertGreater(sum(each["bytes_in_sockets"] for each in workers), 100_000)
            client.read_body(head)
            wait_until(lambda: in_sockets() == 0)

    def test_the_expiry_of_the_listeners_certificate_is_a_metric(self):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-test-")
        self.addCleanup(folder.cleanup)
        authority = Authority(folder.name)
        certificate, key = authority.issue_files("IP:127.0.0.1")
        proxy = self.own_proxy(
            {
                "listen": [
                    {"address": "127.0.0.1:0", "tls": {"certificate": certificate, "key": key}}
                ]
            },
            tls=authority.client_context(),
        )
        address = admin_address(proxy)
        text = subprocess.check_output(
            ["openssl", "x509", "-in", certificate, "-noout", "-enddate", "-dateopt", "iso_8601"],
            text=True,
        )
        expected = subprocess.check_output(["date", "-d", text.split("=")[1], "+%s"], text=True)
        values = metrics(address)
        self.assertEqual(
            values["streamgate_certificate_expiry_timestamp_seconds"], float(expected)
        )
        proxy.ask("/health")
        self.assertEqual(metrics(address)["streamgate_client_tls_handshakes_total"], 1)

    def test_without_a_certificate_there_is_no_expiry(self):
        self.assertNotIn(
            "streamgate_certificate_expiry_timestamp_seconds",
            metrics(admin_address(self.proxy())),
        )


class CountersNeverFall(ProxyTest):
    def assert_no_counter_fell(self, before, after):
        fallen = {
            name: (value, after.get(name))
            for name, value in before.items()
            if is_counter(name) and after.get(name, -1) < value
        }
        self.assertEqual(fallen, {})

    def serve(self, proxy, up):
        self.assertEqual(proxy.stream(up.url("/a")).body, b"hello")
        proxy.stream(f"http://127.0.0.1:{closed_port()}/")

    def test_when_a_worker_dies_and_at_a_reload(self):
        up = self.upstream(ok(b"hello"))
        proxy = self.own_proxy({"admin": ADMIN, "workers": 2})
        address = admin_address(proxy)
        self.serve(proxy, up)
        first = metrics(address)
        os.kill(int(proxy.events_named("worker.ready")[0]["worker"]), signal.SIGKILL)
        wait_until(lambda: len(proxy.events_named("worker.ready")) == 3, what="the successor")
        second = metrics(address)
        self.assert_no_counter_fell(first, second)
        self.assertEqual(second["streamgate_workers_died_total"], 1)
        self.assertEqual(second["streamgate_workers_respawned_total"], 1)
        proxy.reload({})
        proxy.wait_for_event("reload.done")
        wait_until(
            lambda: len(proxy.events_named("worker.left")) == 2, what="the old workers to leave"
        )
        self.serve(proxy, up)
        third = metrics(address)
        self.assert_no_counter_fell(second, third)
        self.assertEqual(third["streamgate_reloads_done_total"], 1)
        self.assertEqual(
            third["streamgate_exchanges_started_total"],
            first["streamgate_exchanges_started_total"] + 2,
        )
        proxy.reload({"workers": "many"})
        proxy.wait_for_event("reload.failed")
        wait_until(lambda: metrics(address)["streamgate_reloads_failed_total"] == 1)
        self.assertEqual(metrics(address)["streamgate_workers_died_total"], 1)

    @unittest.skipIf(EMULATED, "the emulator executes no other program")
    def test_at_an_upgrade_to_a_program_with_another_layout(self):
        up = self.upstream(ok(b"hello"))
        with tempfile.TemporaryDirectory(prefix="streamgate-run-") as folder:
            os.chmod(folder, 0o755)
            program = os.path.join(folder, "streamgate")
            put(BINARY, program)
            proxy = self.own_proxy({"admin": ADMIN}, binary=program)
            address = admin_address(proxy)
            self.serve(proxy, up)
            before = metrics(address)
            put_bytes(with_another_scoreboard(), program)
            proxy.reload({})
            proxy.wait_for_event("reload.done", 60)
            wait_until(lambda: metrics(address)["streamgate_upgrades_done_total"] == 1)
            after = metrics(address)
            # The other program has another name for this counter.
            del before["streamgate_resumes_done_total"]
            self.assert_no_counter_fell(before, after)
            self.assertEqual(after['streamgate_build_info{version="99.0.0"}'], 1)
            put_bytes(b"no program", program)
            proxy.reload({})
            proxy.wait_for_event("upgrade.refused")
            wait_until(lambda: metrics(address)["streamgate_upgrades_refused_total"] == 1)


@unittest.skipUnless(shutil.which("prometheus"), "needs the package prometheus")
class Prometheus(ProxyTest):
    def start_prometheus(self, target, token):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-prometheus-")
        self.addCleanup(folder.cleanup)
        config = os.path.join(folder.name, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as file:
            json.dump(
                {
                    "scrape_configs": [
                        {
                            "job_name": "streamgate",
                            "scrape_interval": "200ms",
                            "scrape_timeout": "200ms",
                            "authorization": {"credentials": token},
                            "static_configs": [{"targets": [target]}],
                        }
                    ]
                },
                file,
            )
        port = closed_port()
        with open(os.path.join(folder.name, "log"), "wb") as log:
            process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder.name}/data",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=log,
            )
        self.addCleanup(lambda: (process.kill(), process.wait()))
        return port

    def query(self, port, expression):
        url = f"http://127.0.0.1:{port}/api/v1/query?query={quote(expression)}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return None

    def test_a_real_prometheus_scrapes_the_service(self):
        up = self.upstream(ok(b"hello"))
        proxy = self.own_proxy({"admin": {**ADMIN, "token": "for-prometheus"}})
        host, port = admin_address(proxy)
        for _ in range(3):
            proxy.stream(up.url("/a"))
        server = self.start_prometheus(f"{host}:{port}", "for-prometheus")
        found = wait_until(
            lambda: self.query(server, "streamgate_exchanges_started_total"), 60, "a scrape"
        )
        self.assertEqual(found[0]["value"][1], "3")
        self.assertEqual(found[0]["metric"]["instance"], f"{host}:{port}")
        quantile = "histogram_quantile(0.5,streamgate_exchange_duration_seconds_bucket)"
        self.assertNotEqual(self.query(server, quantile)[0]["value"][1], "NaN")
        self.assertEqual(self.query(server, "up")[0]["value"][1], "1")

    def test_a_restart_of_the_service_is_a_reset_of_its_counters(self):
        up = self.upstream(ok(b"hello"))
        target = f"127.0.0.1:{closed_port()}"
        server = self.start_prometheus(target, "for-prometheus")
        counter = "streamgate_exchanges_started_total"

        def value(expression):
            series = self.query(server, expression) or []
            return [float(each["value"][1]) for each in series]

        for requests in (20, 10):
            proxy = self.own_proxy({"admin": {"listen": target, "token": "for-prometheus"}})
            wait_until(lambda: value(counter) == [0], 60, "a scrape without requests")
            for _ in range(requests):
                proxy.stream(up.url("/a"))
            wait_until(lambda n=requests: value(counter) == [n], 60, "a scrape of all requests")
            proxy.stop_and_check()
        self.assertEqual(value(f"resets({counter}[5m])"), [1])
        # 30, and what Prometheus extrapolates at both ends, which is much in the few seconds of a
        # test. Without the reset it would be at most 10; if it counted the 20 twice, 50.
        (increase,) = value(f"increase({counter}[5m])")
        self.assertGreaterEqual(increase, 30)
        self.assertLess(increase, 50)
        self.assertAlmostEqual(value(f"rate({counter}[5m])")[0], increase / 300, places=2)
        quantile = "histogram_quantile(0.5,rate(streamgate_exchange_duration_seconds_bucket[5m]))"
        self.assertGreater(value(quantile)[0], 0)


if __name__ == "__main__":
    main()
