from __future__ import annotations

import time

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
        (b'<meta name="twitter:image" content="/p.jpg"></head><meta property="og:image" content="/q">', "https://example.org/p.jpg"),
        (b'<head></head><body><meta property="og:image" content="/p.jpg">', "https://example.org/p.jpg"),
        (b"<!-- <meta property='og:image' content='/no.jpg'> --><meta property='og:image' content='/p.jpg'>", "https://example.org/p.jpg"),
        (b"<script>'<meta property=\"og:image\" content=\"/no.jpg\">'</script>", None),
        (b"<noscript><img src=/x></noscript><meta property=og:image content=/p.jpg>", "https://example.org/p.jpg"),
        (b'<meta property="og:image" content="/p.jpg">&#' + b"1" * 10_000 + b";<p>", "https://example.org/p.jpg"),
        (b'<meta property="og:image" content="javascript:alert(1)">', "javascript:alert(1)"),
    ],
)  # fmt: skip
def test_a_page_names_its_picture(html: bytes, picture: str | None) -> None:
    assert picture_of(html, URL) == picture


@pytest.mark.parametrize(
    ("encoding", "kind"),
    [
        ("utf-8", "text/html"),
        ("utf-8", "text/html; charset=zip"),
        ("utf-8", "text/html; charset=punycode"),
        ("utf-8-sig", "text/html"),
        ("utf-16", "text/html"),
        ("utf-16", "text/html; charset=utf-8"),
        ("utf-16-le", "text/html; charset=UTF-16LE"),
        ("utf-16-be", 'text/html;charset="utf-16be"'),
        ("latin-1", "text/html; charset=ISO-8859-1"),
        ("cp1252", "text/html; charset=windows-1252"),
    ],
)
def test_a_page_is_read_in_its_encoding(encoding: str, kind: str) -> None:
    html = '<meta property="og:image" content="/ä.jpg">'.encode(encoding)

    assert picture_of(html, URL, kind) == "https://example.org/ä.jpg"


def test_a_page_may_name_its_encoding_itself() -> None:
    html = '<meta charset="iso-8859-1"><meta property="og:image" content="/ä.jpg">'.encode("latin-1")

    assert picture_of(html, URL, "text/html") == "https://example.org/ä.jpg"


@pytest.mark.parametrize(
    "part",
    [
        *(
            b"<",
            b"</",
            b"<!",
            b"<![",
            b"<![CDATA[",
            b"<?",
            b"<!--",
            b"<!-->",
            b"<!doctype ",
            b"-->",
            b"&",
            b"&#",
        ),
        *(
            b"&#1;",
            b"&amp",
            b"<a",
            b"<a>",
            b"<a ",
            b"<a b=",
            b'<a b="',
            b"<a b='",
            b"<a b=c>",
            b"<a></a>",
            b"</a>",
        ),
        *(
            b"<?a>",
            b"<a\0",
            b"b=c ",
            b"<meta ",
            b'"',
            b"<script>",
            b"<script></",
            b"<title><",
            b"<svg>",
            b" ",
        ),
        *(b"<textarea>", b"<plaintext>"),
    ],
)
@pytest.mark.parametrize("start", [b"", b"<meta ", b'<meta content="', b"<script>", b"<title>", b"<!--"])
def test_a_long_hostile_page_costs_a_moment(start: bytes, part: bytes) -> None:
    html = start + part * (1 << 20 // len(part))
    since = time.thread_time()

    picture_of(html, URL)

    assert time.thread_time() - since < 0.7
