"""Where people's files are: each person's own server has them, and a directory knows which server that is."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import cast

import httpx
from atproto_core.did_doc import DidDocument

TIMEOUT_SECONDS = 10


class Directory:
    """The directory of `did:plc` names.

    Only what it knows is looked up. The documents of other names lie on their owners' servers, and the
    process that has the bot's password calls no stranger's.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS)
        weakref.finalize(self, self._client.close)

    def blob_url(self, did: str, cid: str) -> str | None:
        """Where the original bytes of somebody's file are; None if the directory does not tell."""
        server = self._server(did) if did.startswith("did:plc:") else None
        return f"{server}/xrpc/com.atproto.sync.getBlob?did={did}&cid={cid}" if server else None

    def _server(self, did: str) -> str | None:
        # Whatever it says that is no document, ValidationError being a ValueError, is no answer.
        with suppress(httpx.HTTPError, TypeError, ValueError):
            answer = self._client.get(f"{self._url}/{did}").raise_for_status()
            return cast("str | None", DidDocument.from_dict(answer.json()).get_pds_endpoint())
        return None
