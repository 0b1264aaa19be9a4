"""What a network's people have laid down for its use, and that the operator has read it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from model.collection.network import Network
from model.collection.progress import Progress
from model.collection.visitor import CollectionError


class NotAgreed(CollectionError):
    """The operator has yet to agree to a network's terms; the message shows them."""


def agree(network: Network, server: str, code: str, folder: Path) -> str:
    """Make sure that the operator agrees to the terms as they are today.

    Args:
        network: Knows its terms.
        server: Which of its servers.
        code: Of the terms that the operator has read; empty if they are those of an earlier run.
        folder: The dataset, which remembers it.

    Returns:
        The code of today's terms; empty where there are none.

    Raises:
        NotAgreed: The operator has not read them, or they have changed.
    """
    terms = network.terms()
    if not terms:
        return ""
    today = hashlib.sha256(terms.encode()).hexdigest()[:8]
    progress = Progress.load(folder)
    before = progress.agreed.get(server, "")
    if today not in (code, before):
        again = "have changed since you agreed to them" if before else "are to be read first"
        raise NotAgreed(
            f"{terms}\n\nThese terms {again}. If they allow what you are about to do, add --agree {today}"
        )
    progress.agreed[server] = today
    progress.save(folder)
    return today
