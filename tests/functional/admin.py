"""Sends requests to the admin listener of a proxy."""

import json

from http_client import Client

ADMIN = {"listen": "127.0.0.1:0"}


def admin_address(proxy):
    """The address of the admin listener: the last one that was bound."""
    host, _, port = proxy.events_named("listener.bound")[-1]["address"].rpartition(":")
    return host.strip("[]"), int(port)


def ask(address, target="/metrics", headers=(), method="GET", version="1.1"):
    """One request to the admin listener, on a connection of its own."""
    with Client(address) as client:
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
        client.request(target, [*pairs, ("Connection", "close")], method, version)
        return client.read_response(method)


def ask_json(address, target):
    response = ask(address, target)
    assert response.status == 200, response
    assert response["Content-Type"] == "application/json", response
    return json.loads(response.body)


def parse_metrics(text):
    """The samples of a text of metrics: {name with labels: value}."""
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def metrics(address):
    response = ask(address)
    assert response.status == 200, response
    return parse_metrics(response.text)
