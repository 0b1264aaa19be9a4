from __future__ import annotations

import pytest

from worker.page import picture_of

URL = "https://example.org/a/b"


@pytest.mark.parametrize(
    ("html", "picture"),
    [
        (b'<meta property="og:image" content="https://cdn.example.org/p.jpg">', "https://cdn.example.org/p.jpg"),
        (b'<meta property="og:image" content="p.jpg">', "https://example.org/a/p.jpg"),
        (b'<meta property="og:image" content="//cdn.example.org/p.jpg">', "https://cdn.example.org/p.jpg"),
        (b'<META CONTENT="/p.jpg" PROPERTY="OG:Image"/>', "https://example.org/p.jpg"),
        (b'<meta name="twitter:image" content="/t.jpg"><meta property="og:image" content="/o.jpg">', "https://example.org/o.jpg"),
        (b'<meta name="twitter:image" content="/t.jpg">', "https://example.org/t.jpg"),
        (b'<meta property="og:image" content="/first.jpg"><meta property="og:image" content="/second.jpg">', "https://example.org/first.jpg"),
        (b'<meta property="og:image" content="/p.jpg?a=1&amp;b=2">', "https://example.org/p.jpg?a=1&b=2"),
        (b'<meta property="og:image" content="">', None),
        (b'<meta property="og:image">', None),
        (b'<meta property="og:image" content="http://[broken">', None),
        (b"<title>words only</title>", None),
        (b'<meta property="og:image" content="/p.jpg"><![<x', "https://example.org/p.jpg"),
        (b"\xff\xfe\x00 no html at all", None),
        (b"", None),
    ],
)  # fmt: skip
def test_a_page_names_its_picture(html: bytes, picture: str | None) -> None:
    assert picture_of(html, URL) == picture
