"""tests/corpus: every request, answer and target has the outcome that the corpus gives for it."""

from corpus import OWN, RequestCorpus, TargetCorpus, UpstreamCorpus
from harness import ProxyTest, main


class Requests(RequestCorpus, ProxyTest):
    corpus = OWN


class Upstreams(UpstreamCorpus, ProxyTest):
    corpus = OWN


class Targets(TargetCorpus, ProxyTest):
    corpus = OWN


if __name__ == "__main__":
    main()
