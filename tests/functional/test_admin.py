"""The admin listener: accepted requests, answers, and the separation from the proxy."""

import os
import signal
import socket
import tempfile

from admin import ADMIN, admin_address, ask, metrics
from harness import ProxyTest, main, stream_path, streamgate, wait_until
from http_client import Client
from upstream import ok

class Access(ProxyTest):
    settings = {"admin": {**ADMIN, "hosts": ["Metrics.example"]}}

    def admin(self, **settings):
        return admin_address(self.proxy(**settings))

    def assert_refused(self, response, status, reason):
        self.assertEqual((response.status, response["X-Streamgate-Error"]), (status, reason))
        self.assertIn(reason, response.text)
        self.assertNotIn("streamgate_", response.text)

    def test_a_host_that_is_an_address_or_localhost_or_in_the_list_is_served(self):
        address = self.admin()
        for host in ("127.0.0.1", "127.0.0.1:9090", "[::1]:9090", "10.1.2.3", "localhost",
                     "LocalHost:1", "metrics.example", "METRICS.example:9090"):
            with self.subTest(host=host):
                self.assertEqual(ask(address, headers={"Host": host}).status, 200)

    def test_another_host_is_refused(self):
        address = self.admin()
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
                     "localhost.", "metrics.example.evil", "x.metrics.example"):
            with self.subTest(host=host):
                self.assert_refused(ask(address, headers={"Host": host}), 403, "host_forbidden")
        for target in ("/ready", "/", "/stream?url=http://a.example/"):
            self.assert_refused(
                ask(address, target, {"Host": "evil.example"}), 403, "host_forbidden"
            )
        self.assert_refused(ask(address, version="1.0"), 403, "host_forbidden")

    def test_a_request_of_a_foreign_page_is_refused(self):
        address = self.admin()
        host = f"{address[0]}:{address[1]}"
        for fields in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": f"http://{address[0]}:1"},
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"},
            {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "iframe"},
        ):
            with self.subTest(fields=fields):
                self.assert_refused(ask(address, headers=fields), 403, "origin_forbidden")
        for fields in (
            {"Origin": f"http://{host}"},
            {"Origin": f"https://{host}"},
            {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"},
            {"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"},
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"},
        ):
            with self.subTest(fields=fields):
                self.assertEqual(ask(address, headers=fields).status, 200)

    def test_no_answer_allows_other_origins(self):
        address = self.admin(cors={"allow_origin": "*"})
        answers = [
            ask(address),
            ask(address, "/ready"),
            ask(address, "/nothing"),
            ask(address, headers={"Origin": "https://evil.example"}),
            ask(address, method="OPTIONS"),
            ask(address, method="POST"),
        ]
        with Client(address) as client:
            client.send(b"nonsense\r\n\r\n")
            answers.append(client.read_response())
        for response in answers:
            names = [name.lower() for name, _ in response.fields]
            found = [n for n in names if n.startswith(("access-control-", "timing-allow-"))]
            self.assertEqual(found, [], response)
            self.assertNotEqual(response["Cross-Origin-Resource-Policy"], "cross-origin")
        self.assertEqual(
            [r.status for r in answers], [200, 200, 404, 403, 405, 405, 400], answers
        )

    def test_a_token_is_required_if_one_is_set(self):
        address = self.admin(admin={**ADMIN, "token": "s3cret-token_~+/=="})
        self.assertEqual(
            ask(address, headers={"Authorization": "Bearer s3cret-token_~+/=="}).status, 200
        )
        self.assertEqual(
            ask(address, headers={"Authorization": "bearer  s3cret-token_~+/=="}).status, 200
        )
        for given in ("", "Basic s3cret-token_~+/==", "s3cret-token_~+/==", "Bearer"):
            with self.subTest(given=given):
                response = ask(address, headers={"Authorization": given})
                self.assert_refused(response, 401, "token_missing")
                self.assertEqual(response["WWW-Authenticate"], "Bearer")
        for given in ("x", "s3cret-token_~+/=", "s3cret-token_~+/===", "s3cret-token_~+/==" * 2):
            with self.subTest(given=given):
                response = ask(address, headers={"Authorization": f"Bearer {given}"})
                self.assert_refused(response, 403, "token_invalid")
        self.assert_refused(ask(address, "/stream?url=x"), 401, "token_missing")
        self.assertEqual(ask(address, "/ready").status, 200)

    def test_the_admin_listener_and_the_proxy_serve_different_paths(self):
        up = self.upstream(ok(b"hello"))
        proxy = self.proxy()
        address = admin_address(proxy)
        for target in (stream_path(up.url("/a")), "/health", "/api/proxy/stream", "/x"):
            self.assert_refused(ask(address, target), 404, "not_found")
        self.assertEqual(up.requests, [])
        for target in ("/metrics", "/status", "/streams", "/"):
            self.assert_error(proxy.ask(target), 404, "not_found")

    def test_a_head_request_has_no_body(self):
        response = ask(self.admin(), method="HEAD")
        self.assertEqual((response.status, response.body), (200, b""))
        self.assertGreater(int(response["Content-Length"]), 1000)

    def test_a_connection_serves_several_requests(self):
        with Client(self.admin()) as client:
            for target in ("/metrics", "/nothing", "/ready"):
                client.request(target)
                self.assertIsNotNone(client.read_response())

    def test_admin_requests_are_not_counted_as_requests_of_the_proxy(self):
        proxy = self.own_proxy()
        address = admin_address(proxy)
        before = metrics(address)
        ask(address, "/nothing")
        after = metrics(address)
        for name in ("connections_accepted", "exchanges_started", "requests_refused"):
            self.assertEqual(after[f"streamgate_{name}_total"], 0, name)
        for name in ("admin_requests", "admin_requests_refused"):
            name = f"streamgate_{name}_total"
            self.assertEqual(after[name], before[name] + 1, name)
        self.assertEqual(proxy.access_log(), [])


class Targets(ProxyTest):
    """The URL of a client cannot lead to the admin listener."""

    def test_the_admin_listener_is_forbidden_even_if_private_addresses_are_allowed(self):
        proxy = self.own_proxy({"admin": ADMIN, "security": {"allow_private": True}})
        port = admin_address(proxy)[1]
        for host in ("127.0.0.1", "127.0.0.2", "localhost"):
            with self.subTest(host=host):
                response = proxy.stream(f"http://{host}:{port}/metrics")
                self.assert_error(response, 403, "target_forbidden")

    def test_a_wildcard_admin_listener_is_forbidden_at_each_address_of_the_machine(self):
        proxy = self.own_proxy(
            {
                "admin": {"listen": "0.0.0.0:0", "token": "t"},
                "security": {"allow_private": True},
            }
        )
        port = admin_address(proxy)[1]
        for host in ("127.0.0.1", "127.3.2.1", "localhost"):
            response = proxy.stream(f"http://{host}:{port}/metrics")
            self.assert_error(response, 403, "target_forbidden")

    def test_a_redirect_to_the_admin_listener_is_forbidden(self):
        proxy = self.own_proxy({"admin": ADMIN, "security": {"allow_private": True}})
        target = f"http://127.0.0.1:{admin_address(proxy)[1]}/metrics"
        head = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
        up = self.upstream(head.encode())
        self.assert_error(proxy.stream(up.url("/a")), 403, "target_forbidden")


class Listening(ProxyTest):
    def problem(self, **admin):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            lines = "".join(f"  {key}: {value}\n" for key, value in admin.items())
            file.write("listen: 127.0.0.1:8080\nadmin:\n" + lines)
            file.flush()
            return streamgate("-c", file.name, "--check").stderr

    def test_an_address_that_others_reach_needs_a_token(self):
        for address in ("0.0.0.0:9090", '"[::]:9090"', "192.0.2.1:9090"):
            problem = self.problem(listen=address)
            self.assertRegex(problem, r":3: admin\.listen: .* set admin\.token")
            self.assertNotIn("admin.token", self.problem(listen=address, token="abc"))
        for address in ("127.0.0.1:9090", "127.9.9.9:9090", '"[::1]:9090"', "unix:/tmp/a.sock",
                        "off", "[]"):
            self.assertEqual(self.problem(listen=address), "", address)

    def test_mistakes_are_named(self):
        self.assertRegex(self.problem(listen="nowhere"), r":3: admin\.listen: ")
        self.assertRegex(self.problem(listen="127.0.0.1:8080"), r"admin\.listen: .* overlap")
        self.assertRegex(self.problem(token="a b"), r":3: admin\.token: takes letters")
        self.assertNotIn("a b", self.problem(token="a b"))
        self.assertRegex(self.problem(hosts="http://x/"), r":3: admin\.hosts: ")
        self.assertRegex(self.problem(hosts="[x:80]"), r":3: admin\.hosts: ")

    def test_the_admin_listener_is_off_by_default(self):
        proxy = self.own_proxy()
        self.assertEqual(len(proxy.events_named("listener.bound")), 1)
        self.assertEqual(proxy.wait_for_event("master.started")["admin"], "off")

    def test_a_unix_socket_is_served(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "admin")
            proxy = self.own_proxy({"admin": {"listen": f"unix:{path}"}})
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertIn(b"200 OK", client.recv(4096))
            proxy.stop()
            self.assertFalse(os.path.exists(path))

    def test_a_reload_keeps_opens_and_closes_the_admin_listener(self):
        proxy = self.own_proxy({"workers": 2})
        proxy.reload({"admin": ADMIN})
        started = proxy.wait_for_event("reload.done", generation="2")
        address = admin_address(proxy)
        self.assertEqual(started["admin"], f"127.0.0.1:{address[1]}")
        self.assertEqual(ask(address).status, 200)
        proxy.reload({"admin": {**ADMIN, "token": "new"}})
        proxy.wait_for_event("reload.done", generation="3")
        wait_until(lambda: ask(address).status == 401, what="the new token")
        proxy.reload({"admin": {"listen": "off"}})
        proxy.wait_for_event("reload.done", generation="4")

        def is_refused():
            try:
                Client(address).close()
            except ConnectionRefusedError:
                return True
            return False

        wait_until(is_refused, what="the listener to be closed")
        self.assertTrue(proxy.is_serving())


class Limits(ProxyTest):
    def test_the_admin_listener_answers_while_the_proxy_is_full(self):
        up = self.upstream(ok(b"x" * 100_000_000))
        proxy = self.own_proxy({"admin": ADMIN, "limits": {"connections": 3}})
        address = admin_address(proxy)
        clients = []
        for _ in range(3):
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(stream_path(up.url("/a")))
            client.read_head()
            clients.append(client)
        self.assert_error(proxy.ask("/health"), 503, "overloaded")
        values = metrics(address)
        self.assertEqual(values['streamgate_connections{worker="0"}'], 3)
        self.assertEqual(values["streamgate_connections_refused_total"], 1)
        self.assertEqual(ask(address, "/ready").status, 200)

    def test_idle_admin_connections_make_room_for_new_ones(self):
        proxy = self.own_proxy({"admin": ADMIN})
        address = admin_address(proxy)
        idle = [Client(address) for _ in range(40)]
        for client in idle:
            self.addCleanup(client.close)
        self.assertEqual(ask(address).status, 200)
        self.assertEqual(idle[0].read_to_end(), b"")  # closed, because it was idle for the longest


class Ready(ProxyTest):
    def test_ready_is_answered_on_both_listeners(self):
        proxy = self.proxy(admin=ADMIN)
        for response in (proxy.ask("/ready"), ask(admin_address(proxy), "/ready")):
            self.assertEqual((response.status, response.text), (200, '{"status":"ready"}\n'))
        self.assertEqual(proxy.ask("/ready", method="HEAD").body, b"")

    def test_ready_is_503_before_a_planned_stop_while_requests_are_served(self):
        up = self.upstream(ok(b"hello"))
        for number in (signal.SIGTERM, signal.SIGQUIT):
            with self.subTest(signal=number):
                proxy = self.own_proxy(
                    {"admin": ADMIN, "drain": {"ready_delay": "1h", "idle": "100ms"}}
                )
                address = admin_address(proxy)
                proxy.send_signal(number)
                proxy.wait_for_event("master.leaving")
                wait_until(lambda p=proxy: p.ask("/ready").status == 503, what="/ready to be 503")
                self.assertEqual(ask(address, "/ready").status, 503)
                self.assertEqual(proxy.ask("/health").status, 200)
                self.assertEqual(proxy.stream(up.url("/a")).body, b"hello")
                proxy.reload({})
                failed = proxy.wait_for_event("reload.failed")
                self.assertEqual(failed["reason"], "the service stops")
                # A second TERM ends the delay.
                self.assertEqual(proxy.stop(signal.SIGTERM), 0)

    def test_the_service_stops_after_the_delay(self):
        proxy = self.own_proxy({"drain": {"ready_delay": "300ms", "idle": "100ms"}})
        self.assertEqual(proxy.stop(), 0)
        names = [entry["event"] for entry in proxy.events()]
        self.assertLess(names.index("master.leaving"), names.index("master.stopping"))


if __name__ == "__main__":
    main()
