from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from plugin_loader import load_plugin
from tests.library.certificates import certificate_pem, key_pem, make_key

plugin = load_plugin("ansible/plugins/lookup/certificate.py")
KEY = make_key()
CERTIFICATE = certificate_pem(KEY)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_text(CERTIFICATE)
    key.write_text(key_pem(KEY))
    return certificate, key


def test_no_certificate_is_asked_for_by_default() -> None:
    assert plugin.read_certificate("", "") == ""


def test_what_it_returns_is_what_a_server_takes(files: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = files
    # A chain, and white space around.
    certificate.write_text(f"\n{CERTIFICATE}\n\n{certificate_pem(make_key(), 'authority')}\n")
    combined = tmp_path / "combined.pem"
    combined.write_text(plugin.read_certificate(str(certificate), str(key)))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(combined)
    assert combined.read_text().count("BEGIN CERTIFICATE") == 2


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        (None, key_pem(KEY), "certificate.pem cannot be read (No such file or directory)"),
        (CERTIFICATE, None, "key.pem cannot be read (No such file or directory)"),
        ("", key_pem(KEY), "holds no certificate that can be read"),
        ("no certificate", key_pem(KEY), "holds no certificate that can be read"),
        (CERTIFICATE[:-60], key_pem(KEY), "holds no certificate that can be read"),
        (CERTIFICATE, "", "holds no private key that can be read"),
        (CERTIFICATE, CERTIFICATE, "holds no private key that can be read"),
        (CERTIFICATE, key_pem(KEY, "a passphrase"), "is encrypted"),
        (CERTIFICATE, key_pem(make_key()), "is not the key of the first certificate"),
        (certificate_pem(KEY, days=-1), key_pem(KEY), "ended on 2"),
    ],
)
def test_what_a_server_could_not_use_is_refused_with_a_sentence(
    files: tuple[Path, Path], certificate: str | None, key: str | None, said: str
) -> None:
    for file, text in zip(files, (certificate, key), strict=True):
        file.unlink() if text is None else file.write_text(text)
    with pytest.raises(plugin.CertificateError) as caught:
        plugin.read_certificate(*map(str, files))
    assert said in str(caught.value)
    assert str(caught.value).startswith("platform_https_")


@pytest.mark.parametrize("given", [("certificate.pem", ""), ("", "key.pem")])
def test_one_of_the_two_is_not_enough(given: tuple[str, str]) -> None:
    with pytest.raises(plugin.CertificateError, match="set both, or none"):
        plugin.read_certificate(*given)
