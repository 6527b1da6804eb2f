"""curl --compressed gets the same playlist as plain curl, in fewer bytes."""

import subprocess

from players import PADDING, PlayerTest, main


def curl(url, *options):
    """The body, and the number of received bytes."""
    done = subprocess.run(
        ["curl", "-sS", "-w", "\n%{size_download} %{http_code}", *options, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    body, _, facts = done.stdout.rpartition("\n")
    size, status = facts.split(" ")
    return body, int(size), int(status)


class Curl(PlayerTest):
    def test_a_compressed_playlist_is_the_same_text(self):
        url = self.watch_url(self.origin(padding=PADDING), "/ts/index.m3u8")
        plain, size, status = curl(url)
        self.assertEqual((status, size), (200, len(plain)))
        for options in (["--compressed"], ["--compressed", "--http1.0"]):
            text, compressed_size, status = curl(url, *options)
            self.assertEqual((text, status), (plain, 200))
            self.assertLess(compressed_size, size // 2)


if __name__ == "__main__":
    main()
