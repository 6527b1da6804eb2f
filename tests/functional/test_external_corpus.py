"""A corpus outside the tree, named by STREAMGATE_CORPORA; skipped without one."""

import unittest

from corpus import EXTERNAL, NO_EXTERNAL, RequestCorpus, TargetCorpus, UpstreamCorpus
from harness import ProxyTest, main


@unittest.skipUnless(EXTERNAL, NO_EXTERNAL)
class Requests(RequestCorpus, ProxyTest):
    corpus = EXTERNAL


@unittest.skipUnless(EXTERNAL, NO_EXTERNAL)
class Upstreams(UpstreamCorpus, ProxyTest):
    corpus = EXTERNAL


@unittest.skipUnless(EXTERNAL, NO_EXTERNAL)
class Targets(TargetCorpus, ProxyTest):
    corpus = EXTERNAL


if __name__ == "__main__":
    main()
