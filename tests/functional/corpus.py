"""Replays a corpus against the proxy: raw requests, raw upstream answers and target URLs.

tests/corpus/README.md describes the format. Each class is mixed into a ProxyTest whose `corpus` is
the folder: tests/corpus in test_corpus.py, the folder that STREAMGATE_CORPORA names in
test_external_corpus.py.
"""

import csv
import os
import re
from concurrent.futures import ThreadPoolExecutor

from harness import stream_path
from http_client import BadAnswer
from programs import RECORDING
from upstream import Answer, Upstream, ok

OWN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "corpus")
EXTERNAL = os.environ.get("STREAMGATE_CORPORA", "")
NO_EXTERNAL = "STREAMGATE_CORPORA does not name a folder"
BYTEWISE_LIMIT = 20_000  # bytes; larger files take too long byte by byte


def unescape(text):
    r"""`text` with \r, \n, \t and \xHH replaced by the characters that they stand for."""
    controls = {"\\r": "\r", "\\n": "\n", "\\t": "\t"}
    return re.sub(
        r"\\(?:[rnt]|x[0-9a-fA-F]{2})",
        lambda m: controls.get(m[0]) or chr(int(m[0][2:], 16)),
        text,
    )


class Corpus:
    corpus = None  # the folder

    def rows(self, path):
        with open(os.path.join(self.corpus, path), newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        self.assertTrue(rows, path)
        return rows

    def content(self, *path):
        with open(os.path.join(self.corpus, *path), "rb") as file:
            return file.read()

    def check_all(self, cases, check):
        """Runs check(case) -> complaint or None over all cases, eight at a time."""
        with ThreadPoolExecutor(8) as pool:
            complaints = [c for c in pool.map(check, cases) if c]
        self.assertEqual(complaints, [], f"{len(complaints)} of {len(cases)}")


class RequestCorpus(Corpus):
    settings = {"client": {"header_timeout": "2s", "keepalive_timeout": "500ms"}}

    @staticmethod
    def converse(proxy, data, bytewise):
        """The status of every answer to `data`, and how the connection ended."""
        statuses = []
        with proxy.connect() as client:
            try:
                (client.send_bytewise if bytewise else client.send)(data)
            except OSError:
                pass  # the proxy closed first; its answers are still to be read
            method = "HEAD" if data.lstrip(b"\r\n").startswith(b"HEAD ") else "GET"
            while True:
                response = client.read_response(method)
                if response is None:
                    return statuses, client.end
                statuses.append(response.status)

    @staticmethod
    def complaint(row, statuses):
        """Why these statuses are wrong, or None."""
        expectation = row.get("expectation_get_head_only_proxy") or row["expectation"]
        if row.get("statuses"):
            if statuses != [int(status) for status in row["statuses"].split()]:
                return f"not {row['statuses']}"
        elif len(statuses) > int(row.get("max_final_responses") or 1):
            return f"{len(statuses)} answers"
        if expectation == "must-reject" or expectation.startswith("4xx/5xx at once"):
            if expectation == "must-reject" and len(statuses) > 1:
                return f"{len(statuses)} answers"
            return None if all(s >= 400 for s in statuses) else "accepted"
        if expectation == "must-accept":
            refusals = (400, 408, 413, 414, 417, 431, 501, 505)
            return None if statuses and statuses[0] not in refusals else "refused"
        if expectation == "must-wait":
            return None if all(s == 408 for s in statuses) else "answered without waiting"
        return None  # either outcome is right

    def test_raw_requests_whole_and_byte_by_byte(self):
        proxy = self.proxy()
        proxy.wait_for_event("worker.ready")
        workers = proxy.workers()
        cases = [
            (row, bytewise)
            for row in self.rows("requests/INDEX.tsv")
            for bytewise in (False, True)
        ]

        def check(case):
            row, bytewise = case
            data = self.content("requests", row["file"])
            if bytewise and len(data) > BYTEWISE_LIMIT:
                return None
            try:
                statuses, end = self.converse(proxy, data, bytewise)
            except (BadAnswer, TimeoutError) as error:
                return row["file"], bytewise, repr(error)
            complaint = self.complaint(row, statuses)
            return (row["file"], bytewise, complaint, statuses, end) if complaint else None

        self.check_all(cases, check)
        self.assertEqual(proxy.ask("/health").status, 200)
        self.assertEqual(proxy.workers(), workers)


class UpstreamCorpus(Corpus):
    # Redirects among the answers must not leave this machine.
    settings = {"security": {"allow_private": ["127.0.0.1"], "deny": ["*:80", "*:443"]}}

    @staticmethod
    def complaint(row, response, mode, data):
        """Why this response is wrong, or None. A `response` of None is a connection that ended
        without an answer."""
        expectation = row["expectation"]
        if response is None:
            return None if "abort" in expectation or mode == "reset" else "no answer"
        if response["X-Streamgate-Error"] == "target_forbidden" and re.match(
            rb"[^ ]+ 30[12378]", data
        ):
            return None if expectation.startswith("relay") else "followed"
        ours = response.status == 502 and response["X-Streamgate-Error"] is not None
        whole = response.complete and not ours
        if not ours and row.get("body") is not None:
            body = unescape(row["body"]).encode()
            if response.body != body if whole else not body.startswith(response.body):
                return "another body"
        if mode == "reset" and not expectation.startswith("502"):
            if expectation == "relay-until-eof" and whole:
                return "a clean end"
            # The reset may overtake the bytes: a complete answer and a failure are both right.
            return None
        if row.get("status") and response.status != int(row["status"]):
            return f"not {row['status']}"
        allowed = {
            "relay": whole,
            "relay-first": whole,
            "relay-until-eof": whole,
            "abort": not whole,
            "abort-or-502": not whole,
            "502": ours,
            "relay-or-502": whole or ours,
        }[expectation]
        if not allowed:
            return "a clean end" if whole else "refused" if ours else "cut"
        if (
            row.get("body") is None
            and whole
            and response.body not in data
            and b"chunked" not in data.lower()
            and b"gzip" not in data
        ):
            return "a body that was not sent"
        return None

    @staticmethod
    def fetch(proxy, url, method):
        """The response to the only request of a connection, and the bytes that follow it."""
        with proxy.connect() as client:
            client.request(stream_path(url), {"Connection": "close"}, method)
            response = client.read_response(method)
            return response, client.read_to_end()

    def test_raw_answers_whole_byte_by_byte_and_with_a_reset(self):
        proxy = self.proxy()
        proxy.wait_for_event("worker.ready")
        workers = proxy.workers()
        cases = [
            (row, mode)
            for row in self.rows("upstream/INDEX.tsv")
            for mode in ("whole", "bytewise", "reset")
        ]

        def check(case):
            row, mode = case
            data = self.content("upstream", row["file"])
            if mode == "bytewise" and len(data) > BYTEWISE_LIMIT:
                return None
            then = "reset" if mode == "reset" else "close"
            up = Upstream(Answer(data, then, piece=1 if mode == "bytewise" else 0))
            try:
                response, surplus = self.fetch(proxy, up.url("/a"), row.get("method") or "GET")
                complaint = self.complaint(row, response, mode, data)
                if surplus:
                    complaint = f"{surplus} follows the answer"
            except (BadAnswer, OSError) as error:
                complaint, response = repr(error), None
            finally:
                up.stop()
            if complaint is None:
                return None
            return row["file"], mode, row["expectation"], complaint, response

        self.check_all(cases, check)
        self.assertEqual(proxy.ask("/health").status, 200)
        self.assertEqual(proxy.workers(), workers)


# Spellings of public hosts that other proxies refuse. Browsers read them, so the proxy does.
READ_AS_BROWSERS_DO = {
    "http://ⓔⓧⓐⓜⓟⓛⓔ.ⓒⓞⓜ",
    "http://user:pass@example.com/",
    "http://a.test\\@127.0.0.1/",
    "http:/a.test/",
    "http:///a.test/",
}


class TargetCorpus(Corpus):
    def packets(self, proxy):
        return [event["address"] for event in proxy.events_named("test.packet")]

    def test_blocked_targets_are_refused_without_a_packet(self):
        proxy = self.own_proxy({"security": {"allow_private": False}}, binary=RECORDING)
        rows = [
            row
            for row in self.rows("targets.tsv")
            if row["expected"] == "block" and not row.get("needs")
            if row["url"] not in READ_AS_BROWSERS_DO
        ]

        def check(row):
            response = proxy.stream(unescape(row["url"]))
            reason = response["X-Streamgate-Error"]
            expected = [row["reason"]] if row.get("reason") else ["bad_url", "target_forbidden"]
            return None if reason in expected else (row["url"], response.status, reason)

        self.check_all(rows, check)
        self.assertEqual(self.packets(proxy), [])

    def test_the_recorder_of_packets_sees_a_fetch_and_a_lookup(self):
        proxy = self.own_proxy(binary=RECORDING)
        up = self.upstream(ok(b"hello"))
        self.assertEqual(proxy.stream(up.url()).body, b"hello")
        self.assertEqual(self.packets(proxy), [f"127.0.0.1:{up.port}"])
        self.assertEqual(proxy.stream("http://no-such-host.invalid/").status, 502)
        self.assertTrue(any(address.endswith(":53") for address in self.packets(proxy)))
