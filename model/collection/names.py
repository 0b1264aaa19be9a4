"""What people call posts and authors, by URL, handle or id → one name for each, to compare."""

from __future__ import annotations

import re

from model.collection.post import Post

# In the order of their trying: a post before its author.
_FORMS = (
    (r"https?://bsky\.app/profile/([^/]+)/post/([^/?#]+)", r"at://\1/app.bsky.feed.post/\2"),
    (r"https?://bsky\.app/profile/([^/?#]+)", r"\1"),
    (r"https?://([^/]+)/(?:@[^/]+|users/[^/]+/statuses)/([^/?#]+)", r"\1/\2"),
    (r"https?://([^/]+)/(?:@|users/)([^/?#]+)", r"\2@\1"),
    (r"at://([^/]+)", r"\1"),
    (r"@([^/]+)", r"\1"),
)


def name_of(text: str) -> str:
    """The one name of a post or an author, however somebody has written it."""
    text = text.strip().rstrip("/").lower()
    for form, name in _FORMS:
        if match := re.fullmatch(form + r"(?:[?#].*)?", text):
            return match.expand(name)
    return text


def names(post: Post) -> set[str]:
    """All names under which a post, or its author, may be asked for."""
    by_handle = post.id.replace(post.author, post.handle, 1)
    return {name_of(text) for text in (post.id, by_handle, post.url, post.author, post.handle)}
