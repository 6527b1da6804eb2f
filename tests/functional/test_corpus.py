"""Replays folders of raw requests, raw upstream answers and hostile targets, when there are any.

STREAMGATE_CORPORA names a folder with `requests/`, `upstream/` and `targets.tsv`; each of the first
two has an INDEX.tsv whose columns `file` and `expectation` (and, for requests,
`expectation_get_head_only_proxy` and `max_final_responses`) say what must happen. Without it there
is nothing extra to replay.
"""

import csv
import os
import re
from concurrent.futures import ThreadPoolExecutor

from harness import ProxyTest, main
from http_client import BadAnswer
from upstream import Answer, Upstream

CORPORA = os.environ.get("STREAMGATE_CORPORA", "")
BYTEWISE_LIMIT = 20_000  # bytes; longer ones would only be slow


def rows(path):
    path = os.path.join(CORPORA, path)
    if not CORPORA or not os.path.exists(path):
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def content(*path):
    with open(os.path.join(CORPORA, *path), "rb") as file:
        return file.read()


class CorpusTest(ProxyTest):
    def judge_all(self, cases, judge):
        """Runs judge(case) -> complaint or None over all cases, a few at a time."""
        with ThreadPoolExecutor(8) as pool:
            complaints = [c for c in pool.map(judge, cases) if c]
        self.assertEqual(complaints, [], f"{len(complaints)} of {len(cases)}")


class Requests(CorpusTest):
    settings = {"client": {"header_timeout": "2s", "keepalive_timeout": "500ms"}}

    @staticmethod
    def converse(proxy, data, bytewise):
        """Every answer to `data`, and how the connection ended."""
        statuses = []
        with proxy.connect() as client:
            try:
                (client.send_bytewise if bytewise else client.send)(data)
            except OSError:
                pass
            method = "HEAD" if data.lstrip(b"\r\n").startswith(b"HEAD ") else "GET"
            while True:
                response = client.read_response(method)
                if response is None:
                    return statuses, client.end
                statuses.append(response.status)

    @staticmethod
    def complaint(row, statuses):
        """Why this outcome is wrong, or None."""
        wanted = row.get("expectation_get_head_only_proxy") or row["expectation"]
        most = int(row.get("max_final_responses") or 1)
        refused = [s for s in statuses if s in (400, 408, 413, 414, 417, 431, 501, 505)]
        if len(statuses) > most:
            return f"{len(statuses)} answers"
        if wanted == "must-reject":
            return None if all(s >= 400 for s in statuses) and len(statuses) <= 1 else "accepted"
        if wanted == "must-accept":
            return None if statuses and statuses[0] not in refused else "refused"
        if wanted == "must-wait":
            return None if all(s == 408 for s in statuses) else "answered without waiting"
        if wanted.startswith("4xx/5xx at once"):
            return None if all(s >= 400 for s in statuses) else "accepted"
        # either, or one of several outcomes: well-formed and not too many is all there is to say.
        return None

    def test_raw_requests_whole_and_byte_by_byte(self):
        proxy = self.proxy()
        proxy.wait_for_event("worker.ready")
        workers = proxy.workers()
        cases = [
            (row, bytewise) for row in rows("requests/INDEX.tsv") for bytewise in (False, True)
        ]

        def judge(case):
            row, bytewise = case
            data = content("requests", row["file"])
            if bytewise and len(data) > BYTEWISE_LIMIT:
                return None
            try:
                statuses, end = self.converse(proxy, data, bytewise)
            except (BadAnswer, TimeoutError) as error:
                return row["file"], bytewise, repr(error)
            complaint = self.complaint(row, statuses)
            return (row["file"], bytewise, complaint, statuses, end) if complaint else None

        self.judge_all(cases, judge)
        self.assertEqual(proxy.ask("/health").status, 200)
        self.assertEqual(proxy.workers(), workers)


class Upstreams(CorpusTest):
    # A redirect among the answers leads nowhere else.
    settings = {"security": {"allow_private": ["127.0.0.1"], "deny": ["*:80", "*:443"]}}

    @staticmethod
    def complaint(expectation, response, mode, data):
        """Why this outcome is wrong, or None."""
        if response["X-Streamgate-Error"] == "target_forbidden" and re.match(
            rb"[^ ]+ 30[12378]", data
        ):
            return None if expectation.startswith("relay") else "followed"
        ours = response.status == 502 and response["X-Streamgate-Error"] is not None
        whole = response.complete and not ours
        if mode == "reset" and not expectation.startswith("502"):
            # The reset may overtake the bytes: a complete answer or an honest failure.
            return None
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
            whole
            and response.body
            and response.body not in data
            and b"chunked" not in data.lower()
            and b"gzip" not in data
        ):
            return "a body that was not sent"
        return None

    def test_raw_answers_whole_byte_by_byte_and_with_a_reset(self):
        proxy = self.proxy()
        proxy.wait_for_event("worker.ready")
        workers = proxy.workers()
        cases = [
            (row, mode)
            for row in rows("upstream/INDEX.tsv")
            for mode in ("whole", "bytewise", "reset")
        ]

        def judge(case):
            row, mode = case
            data = content("upstream", row["file"])
            if mode == "bytewise" and len(data) > BYTEWISE_LIMIT:
                return None
            up = Upstream(
                Answer(
                    data,
                    "reset" if mode == "reset" else "close",
                    piece=1 if mode == "bytewise" else 0,
                )
            )
            try:
                response = proxy.stream(up.url("/a"), method=row.get("method") or "GET")
                if response is None:
                    return (
                        None
                        if "abort" in row["expectation"] or mode == "reset"
                        else (row["file"], mode, "no answer")
                    )
                complaint = self.complaint(row["expectation"], response, mode, data)
                return (
                    (row["file"], mode, row["expectation"], complaint, response)
                    if complaint
                    else None
                )
            except (BadAnswer, OSError) as error:
                return row["file"], mode, repr(error)
            finally:
                up.stop()

        self.judge_all(cases, judge)
        self.assertEqual(proxy.ask("/health").status, 200)
        self.assertEqual(proxy.workers(), workers)


class Targets(CorpusTest):
    settings = {"security": {"allow_private": False}}

    def test_hostile_targets_are_refused_without_a_packet(self):
        proxy = self.proxy()
        # Rows that need a name server or an upstream of their own are not for this machine.
        cases = [
            row["url"]
            for row in rows("targets.tsv")
            if row["expected"] == "block" and not row.get("needs")
        ]

        def judge(url):
            text = re.sub(r"\\x([0-9a-fA-F]{2})", lambda m: chr(int(m.group(1), 16)), url)
            response = proxy.stream(text)
            reason = response["X-Streamgate-Error"]
            if reason in (
                "bad_url",
                "bad_request",
                "target_forbidden",
                "loop",
                "dns_failed",
                "dns_timeout",
            ):
                return None
            return url, response.status, reason

        self.judge_all(cases, judge)


if __name__ == "__main__":
    main()
