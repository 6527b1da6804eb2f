"""Stale answers with a validator: the upstream is asked whether they are still right."""

import itertools
import os
import signal
import threading

from admin import ADMIN, admin_address, ask, metrics
from harness import ProxyTest, main, stream_path, wait_until
from upstream import Answer, ok, status

STALE = {"Cache-Control": "max-age=0"}
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
OUTCOME = "X-Streamgate-Cache"
BODY = b"G" * 300_000
CONDITIONS = ("If-None-Match", "If-Modified-Since")


class Validation(ProxyTest):
    settings = {"cache": {"memory": "64MiB"}}

    def validating(self, fields, refreshed=(), body=BODY, content_type="video/mp2t"):
        """Answers 304 to conditions; each 304 has the fields `refreshed`."""
        fields, refreshed = {**STALE, **fields}, {**fields, **STALE, **dict(refreshed)}

        def script(request):
            if any(request[name] for name in CONDITIONS):
                return status(304, refreshed)
            return ok(body, fields, content_type=content_type)

        return self.upstream(script)

    def conditions(self, up):
        return [tuple(request[name] for name in CONDITIONS) for request in up.requests]

    def test_the_validators_become_conditions_and_a_304_is_the_whole_body_again(self):
        for fields, conditions in (
            ({"ETag": '"v1"'}, ('"v1"', None)),
            ({"ETag": 'W/"v1"'}, ('W/"v1"', None)),
            ({"Last-Modified": DATE}, (None, DATE)),
            ({"ETag": '"v1"', "Last-Modified": DATE}, ('"v1"', DATE)),
        ):
            with self.subTest(fields):
                up = self.validating(fields)
                for _ in range(3):
                    response = self.proxy().stream(up.url("/a.ts"))
                    self.assertEqual((response.status, response[OUTCOME]), (200, "miss"))
                    self.assertTrue(response.body == BODY)
                    self.assertEqual(response["Content-Type"], "video/mp2t")
                self.assertEqual(self.conditions(up), [(None, None), conditions, conditions])

    def test_a_304_makes_the_answer_fresh(self):
        up = self.validating({"ETag": '"v1"'}, {"Cache-Control": "max-age=600", "X-New": "1"})
        proxy = self.own_proxy({"admin": ADMIN})
        outcomes = [proxy.stream(up.url("/a.ts"))[OUTCOME] for _ in range(4)]
        self.assertEqual(outcomes, ["miss", "miss", "hit", "hit"])
        self.assertEqual(len(up.requests), 2)
        last = proxy.stream(up.url("/a.ts"))
        self.assertEqual(last["Cache-Control"], "max-age=600")
        self.assertEqual(last["ETag"], '"v1"')
        self.assertTrue(last.body == BODY)
        self.assertEqual(metrics(admin_address(proxy))["streamgate_cache_validated_total"], 1)

    def test_a_new_answer_replaces_the_old_one(self):
        numbers = itertools.count(1)

        def script(_):
            number = next(numbers)
            return ok(b"G%d" % number, {**STALE, "ETag": f'"{number}"'}, content_type="video/mp2t")

        up = self.upstream(script)
        bodies = [self.proxy().stream(up.url("/a.ts")).body for _ in range(3)]
        self.assertEqual(bodies, [b"G1", b"G2", b"G3"])
        self.assertEqual([c[0] for c in self.conditions(up)], [None, '"1"', '"2"'])

    def test_answers_without_a_validator_are_fetched_anew(self):
        up = self.validating({})
        for _ in range(2):
            self.proxy().stream(up.url("/a.ts"))
        self.assertEqual(self.conditions(up), [(None, None)] * 2)

    def test_a_playlist_is_validated_and_rewritten(self):
        text = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\ns.ts\n"
        up = self.validating({"ETag": '"v1"'}, body=text, content_type="application/x-mpegurl")
        texts = {self.proxy().stream(up.url("/d/i.m3u8")).text for _ in range(3)}
        self.assertEqual(len(texts), 1)
        self.assertIn("%2Fd%2Fs.ts", texts.pop())
        self.assertEqual([c[0] for c in self.conditions(up)], [None, '"v1"', '"v1"'])

    def test_a_304_that_does_not_fit_leads_to_a_whole_request(self):
        for refreshed in (
            {"ETag": '"v2"'},
            {"Cache-Control": "no-store"},
            {"Set-Cookie": "a=1"},
            {"Vary": "Cookie"},
        ):
            with self.subTest(refreshed):
                up = self.validating({"ETag": '"v1"'}, refreshed)
                for _ in range(2):
                    response = self.proxy().stream(up.url("/a.ts"))
                    self.assertTrue(response.status == 200 and response.body == BODY)
                self.assertEqual([c[0] for c in self.conditions(up)], [None, '"v1"', None])

    def test_a_failure_is_not_hidden_by_the_old_answer(self):
        answers = iter([ok(BODY, {"ETag": '"v1"', "Cache-Control": "max-age=0, must-revalidate"}),
                        status(500, body=b"no"), ok(b"new")])
        up = self.upstream(lambda _: next(answers))
        got = [self.proxy().stream(up.url("/a.ts")) for _ in range(3)]
        self.assertEqual([r.status for r in got], [200, 500, 200])
        self.assertEqual(got[2].body, b"new")
        self.assertEqual([c[0] for c in self.conditions(up)], [None, '"v1"', None])

    def test_of_many_clients_one_asks(self):
        gate = threading.Event()
        self.addCleanup(gate.set)

        def script(request):
            if request["If-None-Match"]:
                gate.wait(10)
                return status(304, {"ETag": '"v1"'})
            return ok(BODY, {**STALE, "ETag": '"v1"'}, content_type="video/mp2t")

        up = self.upstream(script)
        proxy = self.own_proxy({"workers": 2})
        proxy.stream(up.url("/a.ts"))
        clients = []
        for _ in range(12):
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(stream_path(up.url("/a.ts")))
            clients.append(client)

        def waiting():
            proxy.send_signal(signal.SIGUSR2)
            live = [e for e in proxy.events_named("exchange.live") if e["step"] == "await_head"]
            return len({e["client"] for e in live}) == 12

        wait_until(waiting, what="all clients")
        gate.set()
        for client in clients:
            response = client.read_response()
            self.assertTrue(response.status == 200 and response.body == BODY)
        self.assertEqual(len(up.requests), 2)

    def test_another_worker_validates_what_one_has_stored(self):
        up = self.validating({"ETag": '"v1"'})
        proxy = self.own_proxy({"workers": 2})
        for _ in range(40):
            self.assertTrue(proxy.stream(up.url("/a.ts")).body == BODY)
        whole = [c for c in self.conditions(up) if c[0] is None]
        self.assertEqual(len(whole), 1)
        self.assertEqual(len(up.requests), 40)

    def test_the_answer_of_a_dead_worker_is_no_basis(self):
        up = self.validating({"ETag": '"v1"'})
        proxy = self.own_proxy()
        proxy.stream(up.url("/a.ts"))
        os.kill(proxy.workers()[0], signal.SIGKILL)
        proxy.wait_for_event("worker.died")
        wait_until(proxy.is_serving)
        self.assertTrue(proxy.stream(up.url("/a.ts")).body == BODY)
        self.assertEqual(self.conditions(up), [(None, None)] * 2)

    def test_conditions_of_a_client_are_answered_from_the_validated_answer(self):
        up = self.validating({"ETag": '"v1"'})
        proxy = self.proxy()
        proxy.stream(up.url("/a.ts"))
        for tag, answer in (('"v1"', 304), ('"v0"', 200)):
            response = proxy.stream(up.url("/a.ts"), {"If-None-Match": tag})
            self.assertEqual((response.status, response[OUTCOME]), (answer, "miss"))
        part = proxy.stream(up.url("/a.ts"), {"Range": "bytes=0-9"})
        self.assertEqual((part.status, part.body, part[OUTCOME]), (206, BODY[:10], "miss"))
        self.assertEqual([c[0] for c in self.conditions(up)], [None, '"v1"', '"v1"', '"v1"'])

    def test_a_purge_drops_stale_answers_too(self):
        up = self.validating({"ETag": '"v1"'})
        proxy = self.own_proxy({"admin": ADMIN})
        proxy.stream(up.url("/a.ts"))
        target = f"/purge?url={up.url('/a.ts')}"
        self.assertIn(b":1}", ask(admin_address(proxy), target, method="POST").body)
        proxy.stream(up.url("/a.ts"))
        self.assertEqual(self.conditions(up), [(None, None)] * 2)

    def test_without_room_for_a_second_copy_the_answer_is_fetched(self):
        body = b"G" * 1_000_000
        up = self.validating({"ETag": '"v1"'}, body=body)
        proxy = self.own_proxy({"cache": {"memory": "2MiB", "object_size": "1MiB"}})
        gate = threading.Event()
        self.addCleanup(gate.set)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
        other = self.upstream(
            lambda _: Answer(head + body[:1000], body=lambda: [body[1000:]], wait=gate)
        )
        proxy.stream(up.url("/a.ts"))
        client = proxy.connect()
        self.addCleanup(client.close)
        client.request(stream_path(other.url("/b.ts")))
        client.read_head()
        response = proxy.stream(up.url("/a.ts"))
        self.assertTrue(response.status == 200 and response.body == body)


if __name__ == "__main__":
    main()
