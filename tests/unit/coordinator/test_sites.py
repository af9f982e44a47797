"""Where a browser's request comes from: this site by any of its names, and nobody else."""

import pytest

from coordinator.core.sites import same

HTTPS, HTTP = "https://exam.example", "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("origin", "public_url", "host"),
    [
        ("https://exam.example", HTTPS, "exam.example"),
        ("https://exam.example", HTTPS + ":443/", "rewritten.internal"),
        ("https://exam.example:443", HTTPS, ""),
        ("https://EXAM.example", HTTPS, "exam.example"),
        ("https://10.0.0.7:30443", HTTPS, "10.0.0.7:30443"),
        ("https://[fd00::7]:30443", HTTPS, "[fd00::7]:30443"),
        ("http://127.0.0.1:8080", HTTP, "127.0.0.1:8080"),
        ("http://localhost:8080", HTTP, "localhost:8080"),
        ("https://tunnel.example", HTTP, "tunnel.example"),
        ("http://exam.example", "http://exam.example:80", "exam.example"),
    ],
)
def test_this_site(origin: str, public_url: str, host: str) -> None:
    assert same(origin, public_url, host)


@pytest.mark.parametrize(
    ("origin", "public_url", "host"),
    [
        ("https://evil.example", HTTPS, "exam.example"),
        ("https://exam.example:8443", HTTPS, "exam.example"),
        ("https://exam.example.evil.example", HTTPS, "exam.example"),
        ("http://exam.example", HTTPS, "exam.example"),
        ("http://10.0.0.7:30443", HTTPS, "10.0.0.7:30443"),
        ("null", HTTPS, ""),
        ("null", HTTPS, "null"),
        ("", HTTP, ""),
        ("file://", HTTP, ""),
        ("https://exam.example:port", HTTPS, "exam.example"),
        ("chrome-extension://abc", HTTP, "abc"),
    ],
)
def test_another_site(origin: str, public_url: str, host: str) -> None:
    assert not same(origin, public_url, host)
