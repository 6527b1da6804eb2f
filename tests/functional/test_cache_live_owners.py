"""An endless stream goes on for its viewers when the worker that fetches it dies or drains."""

import os
import signal

from harness import main, wait_until
from live_viewers import LiveTest, stalled
from transport_stream import group
from upstream import status


class Owners(LiveTest):
    def test_after_the_owners_death_the_stream_goes_on_in_the_same_response(self):
        feeds = [self.feed(), self.feed()]
        answers = [feed.answer for feed in feeds]
        up = self.upstream(lambda _: answers.pop(0))
        feeds[0].send(group(1))
        proxy = self.own_proxy()
        clients, pids = self.viewers_of_all_workers(proxy, up.url("/tv"))
        for client in clients:
            self.read(client, len(group(1)))
        feeds[1].send(group(2)[:1000])
        self.kill(proxy, pids[0])
        wait_until(lambda: len(up.requests) == 2)
        feeds[1].send(group(2)[1000:] + group(3))
        expected = group(1) + group(2) + group(3)
        others = [client for client, pid in zip(clients, pids) if pid != pids[0]]
        self.assertTrue(others)
        for client in others:
            self.assertEqual(self.read(client, len(expected)), expected)
        self.assertEqual(len(up.requests), 2)

    def test_bytes_that_the_owner_had_before_its_death_are_not_lost(self):
        feeds = [self.feed(), self.feed()]
        answers = [feed.answer for feed in feeds]
        up = self.upstream(lambda _: answers.pop(0))
        feeds[0].send(group(1))
        feeds[1].send(group(3))
        proxy = self.own_proxy()
        clients, pids = self.viewers_of_all_workers(proxy, up.url("/tv"))
        for client in clients:
            self.read(client, len(group(1)))
        (other,) = set(pids) - {pids[0]}
        self.stop_process(other)
        feeds[0].send(group(2))
        self.assertEqual(self.read(clients[0], 2 * len(group(1))), group(1) + group(2))
        self.kill(proxy, pids[0])
        os.kill(other, signal.SIGCONT)
        expected = group(1) + group(2) + group(3)
        for client, pid in zip(clients, pids):
            if pid == other:
                self.assertEqual(self.read(client, len(expected)), expected)

    def test_a_viewer_who_follows_late_gets_the_next_body_from_its_begin(self):
        feeds = [self.feed(), self.feed()]
        answers = [feed.answer for feed in feeds]
        up = self.upstream(lambda _: answers.pop(0))
        feeds[0].send(group(1))
        feeds[1].send(group(2) + group(3))
        proxy = self.own_proxy({"workers": 3})
        clients, pids = self.viewers_of_all_workers(proxy, up.url("/tv"), workers=3)
        for client in clients:
            self.read(client, len(group(1)))
        first, late = set(pids) - {pids[0]}
        self.stop_process(late)
        self.kill(proxy, pids[0])
        expected = group(1) + group(2) + group(3)
        for pid in (first, late):
            os.kill(pid, signal.SIGCONT)
            for client in (c for c, p in zip(clients, pids) if p == pid):
                self.assertEqual(self.read(client, len(expected)), expected)
        self.assertEqual(len(up.requests), 2)

    def test_a_broken_stream_whose_owner_dies_does_not_look_complete(self):
        feed = self.feed(b"video/mp2t", "reset")
        answers = [feed.answer, status(404)]
        up = self.upstream(lambda _: answers.pop(0))
        feed.send(group(1))
        proxy = self.own_proxy()
        clients, pids = self.viewers_of_all_workers(proxy, up.url("/tv"))
        for client in clients:
            self.read(client, len(group(1)))
        (other,) = set(pids) - {pids[0]}
        self.stop_process(other)
        feed.end()
        self.assertEqual(clients[0].read_to_end(), group(1))
        self.kill(proxy, pids[0])
        os.kill(other, signal.SIGCONT)
        for client in clients[1:]:
            self.assertEqual((client.read_to_end(), client.end), (group(1), "reset"))

    def test_another_kind_of_answer_does_not_continue_it(self):
        for other in (status(404), stalled(b"ID3" + b"\0" * 500, b"audio/mpeg")):
            with self.subTest(other.data[:40]):
                feed = self.feed()
                answers = [feed.answer, other]
                up = self.upstream(lambda _: answers.pop(0) if len(answers) > 1 else answers[0])
                feed.send(group(1))
                proxy = self.own_proxy()
                clients, pids = self.viewers_of_all_workers(proxy, up.url("/tv"))
                self.kill(proxy, pids[0])
                for client, pid in zip(clients, pids):
                    if pid != pids[0]:
                        self.assertEqual(client.read_to_end(), group(1))
                        self.assertEqual(client.end, "reset")

    def provider(self, *feeds):
        """An upstream that answers 403 while it has a viewer."""
        feeds = list(feeds)
        answers = []

        def script(_):
            # A connection that has just been closed is seen a moment later.
            if any(not answer.closed.wait(1) for answer in answers):
                return status(403)
            answers.append(feeds.pop(0))
            return answers[-1]

        return self.upstream(script)

    def test_five_viewers_share_the_one_connection_of_an_account_over_a_reload(self):
        up = self.provider(stalled(group(1)), stalled(group(2)))
        limits = {"upstream": {"max_connections": 1}, "drain": {"idle": "0s", "timeout": "60s"}}
        proxy = self.own_proxy(limits)
        clients, pids = self.viewers_of_all_workers(proxy, up.url("/tv"), 5)
        proxy.reload(limits)
        proxy.wait_for_event("reload.done")
        clients += self.young_viewers(proxy, up.url("/tv"), pids, 5)
        for client in clients:
            self.assertEqual(self.read(client, len(group(1))), group(1))
        self.assertEqual(len(up.requests), 1)
        # The old viewers leave, the owner stays for the new ones.
        for client in clients[:-5]:
            client.reset()
        self.assertFalse(up.answers[0].closed.wait(0.5))
        for client in clients[-5:]:
            client.reset()
        self.assertTrue(up.answers[0].closed.wait(15))
        again = self.begin(proxy, up.url("/tv"))
        self.assertEqual(self.read(again, len(group(2))), group(2))

    def test_the_one_connection_of_an_account_passes_to_another_worker(self):
        up = self.provider(stalled(group(1)), stalled(group(2)), stalled(group(3)))
        proxy = self.own_proxy({"upstream": {"max_connections": 1, "reconnect": "always"}})
        clients, pids = self.viewers_of_all_workers(proxy, up.url("/tv"), 5)
        expected = group(1)
        for client in clients:
            self.read(client, len(expected))
        self.kill(proxy, pids[0])
        expected += group(2)
        for client, pid in zip(clients, pids):
            if pid != pids[0]:
                self.assertEqual(self.read(client, len(expected)), expected)
        self.assertEqual(len(up.requests), 2)

    def test_an_upstream_that_refuses_the_next_connection_for_a_moment_is_asked_again(self):
        # Each 403 is asked again without Referer at once.
        answers = [stalled(group(1)), *[status(403)] * 2, status(503), stalled(group(2))]
        up = self.upstream(lambda _: answers.pop(0))
        proxy = self.own_proxy()
        clients, pids = self.viewers_of_all_workers(proxy, up.url("/tv"), 5)
        for client in clients:
            self.read(client, len(group(1)))
        self.kill(proxy, pids[0])
        expected = group(1) + group(2)
        for client, pid in zip(clients, pids):
            if pid != pids[0]:
                self.assertEqual(self.read(client, len(expected)), expected)
        self.assertEqual(len(up.requests), 5)

    def test_at_the_drain_limit_the_new_generation_makes_one_request(self):
        up = self.provider(stalled(group(1)), stalled(group(2)))
        limits = {"drain": {"idle": "0s", "timeout": "4s"}}
        proxy = self.own_proxy({"workers": 1, **limits})
        old = self.begin(proxy, up.url("/tv"))
        self.read(old, len(group(1)))
        pid = proxy.pid_serving(old)
        proxy.reload({"workers": 1, **limits})
        proxy.wait_for_event("reload.done")
        young = self.young_viewers(proxy, up.url("/tv"), [pid], 4)
        for client in young:
            self.assertEqual(self.read(client, 2 * len(group(1))), group(1) + group(2))
        self.assertEqual(len(up.requests), 2)


if __name__ == "__main__":
    main()
