"""Lookup plugin: a certificate with its key, checked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from cryptography import x509
from cryptography.hazmat.primitives import serialization

DOCUMENTATION = """
name: certificate
author: the Play with Containers authors
short_description: A certificate with its key, checked
description:
  - Reads a certificate with its chain, and its private key, from two PEM files on the control node, and fails
    with a sentence where a server could not use them.
options:
  _terms:
    description: The path of the certificate and the path of the key; both empty where there is none.
    required: true
"""


class CertificateError(Exception):
    """What is wrong, and what to do."""


def read_certificate(certificate: str, key: str) -> str:
    """Return certificate, chain and key as one PEM text; "" if both paths are empty.

    Raises:
        CertificateError: a server could not use them.
    """
    if not certificate and not key:
        return ""
    if not certificate or not key:
        raise CertificateError(
            "platform_https_certificate and platform_https_key belong together: set both, or none."
        )
    chain, private = _read("platform_https_certificate", certificate), _read("platform_https_key", key)
    try:
        first = x509.load_pem_x509_certificates(chain)[0]
    except ValueError as error:
        raise CertificateError(
            f"platform_https_certificate: {certificate} holds no certificate that can be read. It must hold "
            "the certificate and its chain as PEM (-----BEGIN CERTIFICATE-----)."
        ) from error
    try:
        public = serialization.load_pem_private_key(private, password=None).public_key()
    except TypeError as error:
        raise CertificateError(
            f"platform_https_key: {key} is encrypted, and nobody is there to type its passphrase. Write it "
            "without one: `openssl pkey -in KEY -out NEW_KEY`."
        ) from error
    except ValueError as error:
        raise CertificateError(
            f"platform_https_key: {key} holds no private key that can be read. It must hold one as PEM."
        ) from error
    if public != first.public_key():
        raise CertificateError(
            f"platform_https_key: {key} is not the key of the first certificate in {certificate}. Give the "
            "two that were made together."
        )
    if first.not_valid_after_utc < datetime.now(UTC):
        raise CertificateError(
            f"platform_https_certificate: {certificate} ended on "
            f"{first.not_valid_after_utc:%F}, so clients would refuse it. Renew it."
        )
    return f"{chain.decode().strip()}\n{private.decode().strip()}\n"


def _read(variable: str, path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise CertificateError(
            f"{variable}: {path} cannot be read ({error.strerror}). Check the path."
        ) from error


class LookupModule(LookupBase):
    """Entry point for Ansible."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Returns one text."""
        try:
            return [read_certificate(*terms)]
        except CertificateError as error:
            # What it was caused by is a part of the sentence.
            raise AnsibleError(str(error)) from None
