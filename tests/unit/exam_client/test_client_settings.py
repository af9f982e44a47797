"""What an exam-client is told from outside, and what it says when that is wrong."""

from pathlib import Path

import pytest

from exam_client.settings import Settings, SettingsWrong, load_settings, origin_of, read_bearer

PREFIX = "MEDXAMION_CLIENT_"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name, value in {
        "DELIVERY_ID": "1",
        "DELIVERY_UID": "u-1",
        "POD_UID": "pod-1",
        "EPOCH": "1",
        "VOLUME_DIR": str(tmp_path / "volume"),
        "SECRET_DIR": str(tmp_path),
        "COORDINATOR_URL": "https://coordinator",
    }.items():
        monkeypatch.setenv(PREFIX + name, value)
    return monkeypatch


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://exam.example.org", "https://exam.example.org"),
        ("https://Exam.example.org:443/", "https://exam.example.org"),
        ("https://127.0.0.1:31234", "https://127.0.0.1:31234"),
        ("http://[::1]:80/sit", "http://[::1]"),
    ],
)
def test_an_origin_is_what_browsers_say(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize("url", ["exam.example.org", "ftp://x", "https://", "https://x:port"])
def test_what_is_no_origin_is_refused_by_name(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv(f"{PREFIX}ADVERTISED_ORIGIN", url)
    with pytest.raises(SettingsWrong, match="ADVERTISED_ORIGIN"):
        load_settings()


def test_an_empty_variable_is_one_that_is_not_set(environment: pytest.MonkeyPatch) -> None:
    for name in ("PUBLIC_TLS_DIR", "TLS_DIR", "ADVERTISED_ORIGIN", "SERVICE_TOKEN_FILE"):
        environment.setenv(PREFIX + name, "")
    settings = load_settings()
    assert (settings.tls_dir, settings.public_tls_dir) == (None, None)
    assert (settings.advertised_origin, settings.service_token_file) == (None, None)


def test_a_public_pair_alone_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(f"{PREFIX}PUBLIC_TLS_DIR", "/etc/tls")
    with pytest.raises(SettingsWrong, match="beside TLS_DIR"):
        load_settings()


def test_the_bearer_is_the_token_file_or_the_service_key(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = load_settings()
    with pytest.raises(SettingsWrong, match=r"service\.key .*SERVICE_TOKEN_FILE"):
        read_bearer(settings)
    (tmp_path / "service.key").write_text("local\n")
    assert read_bearer(settings) == "local"
    environment.setenv(f"{PREFIX}SERVICE_TOKEN_FILE", str(tmp_path / "token"))
    settings = load_settings()
    with pytest.raises(SettingsWrong, match="token cannot be read"):
        read_bearer(settings)
    (tmp_path / "token").write_text("projected\n")
    assert read_bearer(settings) == "projected"


@pytest.mark.parametrize("text", ["", " \n", "two\nlines", "späte"])
def test_a_bearer_that_no_header_can_carry_is_refused(
    environment: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    (tmp_path / "service.key").write_text(text)
    with pytest.raises(SettingsWrong, match="printable ASCII"):
        read_bearer(load_settings())


def test_no_setting_shows_a_secret() -> None:
    assert "key" not in {name.rpartition("_")[2] for name in Settings.model_fields}
