"""A proxy that requires tokens."""

import json

from harness import ProxyTest, link_target
from tokens import with_tokens


class TokenTest(ProxyTest):
    settings = with_tokens()

    def security(self, **more):
        return {"security": {**self.settings["security"], **more}}

    def assert_refused(self, response, status, reason):
        self.assertEqual((response.status, response["X-Streamgate-Error"]), (status, reason))
        self.assertEqual(json.loads(response.text)["error"], reason)
        self.assertEqual(response["Access-Control-Allow-Origin"], "*")

    def play(self, proxy, up, path="/live/index.m3u8", **parameters):
        response = proxy.stream(up.url(path), **parameters)
        self.assertEqual(response.status, 200, response.text)
        return [line for line in response.text.splitlines() if line and line[0] != "#"]

    def ask_link(self, proxy, link, **options):
        return proxy.ask(link_target(link), **options)
