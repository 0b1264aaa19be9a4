"""OAuth 1.0a (RFC 5849): how a call to X says on whose behalf it is. Enough for calls without a body."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote


class Keys(NamedTuple):
    """What an app and an account have been given."""

    consumer: str
    consumer_secret: str
    token: str
    token_secret: str


def signed(method: str, url: str, keys: Keys) -> str:
    """The Authorization header of a call without parameters."""
    parameters = {
        "oauth_consumer_key": keys.consumer,
        "oauth_nonce": secrets.token_hex(16),
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(int(time.time())),
        "oauth_token": keys.token,
        "oauth_version": "1.0",
    }
    parameters["oauth_signature"] = signature(method, url, parameters, keys)
    return "OAuth " + ", ".join(f'{name}="{_quoted(value)}"' for name, value in parameters.items())


def signature(method: str, url: str, parameters: Mapping[str, str], keys: Keys) -> str:
    """The signature of a call, with all of its parameters."""
    pairs = sorted((_quoted(name), _quoted(value)) for name, value in parameters.items())
    listing = "&".join(f"{name}={value}" for name, value in pairs)
    base = "&".join(_quoted(part) for part in (method, url, listing))
    key = f"{_quoted(keys.consumer_secret)}&{_quoted(keys.token_secret)}"
    return base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()).decode()


def _quoted(text: str) -> str:
    return quote(text, safe="")
