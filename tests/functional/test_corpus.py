"""tests/corpus: every request, answer and target has the outcome that the corpus gives for it."""

import os
import unittest

from corpus import OWN, Corpus, RequestCorpus, TargetCorpus, UpstreamCorpus
from harness import ProxyTest, main


class Indexes(Corpus, unittest.TestCase):
    corpus = OWN

    def test_every_file_is_in_the_index_of_its_folder(self):
        for folder, columns in (
            ("requests", ["file"]),
            ("upstream", ["file"]),
            ("playlists", ["path", "rewritten"]),
        ):
            rows = self.rows(f"{folder}/INDEX.tsv")
            indexed = {row[column] for row in rows for column in columns} | {"INDEX.tsv"}
            self.assertEqual(indexed, set(os.listdir(os.path.join(OWN, folder))))


class Requests(RequestCorpus, ProxyTest):
    corpus = OWN


class Upstreams(UpstreamCorpus, ProxyTest):
    corpus = OWN


class Targets(TargetCorpus, ProxyTest):
    corpus = OWN


if __name__ == "__main__":
    main()
