"""Live playlists whose upstream does not say how long they may be used: many viewers cost it one
request for each segment.
"""

from harness import ProxyTest, main, wait_until
from upstream import playlist


def live_text(edge, duration=20, lines=""):
    return (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:{duration}\n#EXT-X-MEDIA-SEQUENCE:{edge - 1}\n{lines}"
        f"#EXTINF:{duration},\nseg{edge - 1}.ts\n"
    )


class LivePlaylists(ProxyTest):
    settings = {"cache": {"memory": "64MiB", "playlist_age": "500ms"}, "workers": 2}

    def ages(self, proxy, up, until):
        """The `Age` of the answers to viewers who come all the time until `until` is satisfied."""
        ages = []

        def enough():
            ages.append(int(proxy.stream(up.url("/live.m3u8"))["Age"] or 0))
            return until(ages)

        wait_until(enough, 30)
        return ages

    def test_the_next_segment_is_awaited(self):
        up = self.upstream(lambda _: playlist(live_text(len(up.requests))))
        proxy = self.proxy()
        # The second answer shows a new segment, and is used for longer than playlist_age.
        self.ages(proxy, up, lambda ages: ages[-1] >= 3)
        number = len(up.requests)
        self.assertIn(f"seg{number - 1}.ts", proxy.stream(up.url("/live.m3u8")).text)
        self.assertEqual(len(up.requests), number)

    def test_a_playlist_that_does_not_change_is_asked_for_again(self):
        up = self.upstream(lambda _: playlist(live_text(7)))
        ages = self.ages(self.proxy(), up, lambda _: len(up.requests) >= 3)
        self.assertLess(max(ages), 2)

    def test_a_playlist_that_has_ended_or_has_parts_keeps_its_age(self):
        for line in ("#EXT-X-ENDLIST\n", "#EXT-X-PART-INF:PART-TARGET=1\n"):
            up = self.upstream(lambda _: playlist(live_text(len(up.requests), lines=line)))
            ages = self.ages(self.proxy(), up, lambda _: len(up.requests) >= 3)
            self.assertLess(max(ages), 2, line)

    def test_cache_control_of_the_upstream_counts(self):
        said = {"Cache-Control": "max-age=1"}
        up = self.upstream(lambda _: playlist(live_text(len(up.requests)), said))
        ages = self.ages(self.proxy(), up, lambda _: len(up.requests) >= 3)
        self.assertLess(max(ages), 2)


if __name__ == "__main__":
    main()
