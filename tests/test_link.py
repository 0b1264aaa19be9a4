from __future__ import annotations

import httpx
import pytest

from worker.failure import DownloadFailed
from worker.link import parse


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("http://example.org", "http://example.org"),
        ("HTTPS://EXAMPLE.org/A?b#c", "https://example.org/A?b#c"),
        ("  https://example.org/ \n", "https://example.org/"),
        ("https://example.org/ä b.jpg", "https://example.org/%C3%A4%20b.jpg"),
        ("https://example.org/🤳.jpg", "https://example.org/%F0%9F%A4%B3.jpg"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://例え.テスト/", "https://xn--r8jz45g.xn--zckzah/"),
        ("https://my_photos.example./", "https://my_photos.example./"),
        ("https://example.org:443/", "https://example.org/"),
        ("http://example.org:8080/", "http://example.org:8080/"),
        ("http://[2606:2800::1]:80/", "http://[2606:2800::1]/"),
        ("http://xn--0.example/", "http://xn--0.example/"),
        ("https://example.org/a%0d%0ab", "https://example.org/a%0d%0ab"),
        ("https://example.org/@user:word@", "https://example.org/@user:word@"),
    ],
)
def test_a_link_is_read_as_people_write_it(link: str, url: str) -> None:
    assert str(parse(link)) == url


@pytest.mark.parametrize(
    "link",
    [
        "", " ", "nonsense", "example.org", "//example.org/", "/path", "http:", "http://", "http:///a.jpg",
        "http:example.org", "http:/example.org", "ftp://example.org/", "file:///etc/passwd", "data:,x",
        "gopher://example.org/", "blob:https://example.org/", "ws://example.org/", "http+unix://%2Fvar/",
        "http://user@example.org/", "http://user:word@example.org/", "http://:@example.org/", "http://a@b@c/",
        "http://example.org:port/", "http://example.org:0/", "http://example.org:65536/", "http://example.org:-1/",
        "http://example.org:80:80/", "http://[::1/", "http://[::1]x/", "http://[fe80::1%25eth0]/", "http://[v1.x]/",
        "http://exam ple.org/", "http://exam\tple.org/", "http://exam\nple.org/",
        "http://example.org/a\r\nHost: b", "http://example.org/\0", "http://example.org/\x7f",
        "http://example.org/\x85a", "http://example.org/\u2028a",
        "http://exam\u200bple.org/", "http://exam\u00adple.org/", "http://example.org/\u202egpj.exe",
        "http://example.org/\ufeffa", "http://example.org/\ud800", "\u200bhttp://example.org/",
        "http://example.org\\@127.0.0.1/", "http:\\\\example.org", "http://exam%70le.org/", "http://example.org%00/",
        "http://exam,ple.org/", "http://a..b/", "http://.example.org/", "http://-a.example.org/",
        "http://example.org../", "http://./", "http://" + "a" * 64 + ".org/", "http://" + "a." * 130 + "org/",
        "http://example.org/" + "a" * 3000, "http://①.example/",
    ],
)  # fmt: skip
def test_a_link_that_programs_read_differently_or_not_at_all_is_refused(link: str) -> None:
    with pytest.raises(DownloadFailed, match="bad_link"):
        parse(link)


def test_a_relative_link_is_read_from_where_it_was_said() -> None:
    assert str(parse("../b c.jpg", httpx.URL("https://example.org/x/y"))) == "https://example.org/b%20c.jpg"
    assert str(parse("//b.example", httpx.URL("https://a.example/"))) == "https://b.example"


def test_no_link_makes_the_reader_itself_fail() -> None:
    for code in [*range(0x3000), *range(0xD7F0, 0xE010), *range(0xFDD0, 0x10010), 0x1F933, 0xE0001, 0x10FFFF]:
        for link in (
            f"http://a{chr(code)}b.example/",
            f"http://example.org/{chr(code)}",
            f"{chr(code)}http://a.b/",
        ):
            try:
                assert parse(link).scheme == "http"
            except DownloadFailed as failed:
                assert failed.fault == "bad_link"  # noqa: PT017
