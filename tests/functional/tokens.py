"""Makes the tokens that tests show to the proxy."""

import base64
import hashlib
import hmac
import json
import time

SECRET = "0123456789abcdef0123456789abcdef"
OTHER = "another secret of at least 32 bytes!"
KEY = {"id": "site", "algorithm": "HS256", "secret": SECRET}


def b64(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header, payload, secret=SECRET, raw=False):
    """A JWS of any header and payload; with `raw` they are encoded text."""
    text = f"{header}.{payload}" if raw else f"{b64(header)}.{b64(payload)}"
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{b64(mac)}"


def soon(seconds=600):
    return int(time.time()) + seconds


def hs256(secret=SECRET, **claims):
    return signed({"alg": "HS256", "typ": "JWT"}, {"exp": soon(), **claims}, secret)


def with_tokens(*keys, **security):
    """The settings of a proxy that requires tokens of these keys, or of KEY."""
    required = {"allow_private": ["127.0.0.0/8"], "auth": "token", "keys": list(keys or [KEY])}
    return {"security": {**required, **security}}
