"""HTTPS, the limit of requests and CORS, which are off by default: docs/gateway-options.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.library.api import Api
from tests.library.certificates import certificate_pem, key_pem, make_key
from tests.library.loads import Load
from tests.node.node import Node
from tests.operations.operator import Operator

pytestmark = pytest.mark.timeout(1500)

GATEWAY = "api-gateway-app"
ORIGIN = "https://shop.example"


class Certificate:
    """Two files, and the variables that name them."""

    def __init__(self, directory: Path) -> None:
        self._certificate, self._key = directory / "certificate.pem", directory / "key.pem"
        self.variables = {
            "platform_https_certificate": str(self._certificate),
            "platform_https_key": str(self._key),
        }
        self.renew()

    def renew(self) -> None:
        """Write a new certificate and its key."""
        key = make_key()
        self._certificate.write_text(certificate_pem(key))
        self._key.write_text(key_pem(key))

    @property
    def text(self) -> str:
        """The certificate."""
        return self._certificate.read_text()


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """A good one."""
    return Certificate(tmp_path)


@pytest.fixture
def switched_off_at_the_end(operator: Operator) -> Iterator[None]:
    """The platform has its defaults again when the test is over."""
    yield
    operator.run("site.yml")


def gateway(node: Node) -> tuple[str, str]:
    """The gateway's container, and since when it runs."""
    container = node.inspect(GATEWAY)[GATEWAY]
    return container["Id"], container["State"]["StartedAt"]


def shown_certificate(node: Node) -> str:
    """What a client on the node gets to see on port 3443."""
    return node.run("openssl s_client -connect 127.0.0.1:3443 </dev/null 2>/dev/null | openssl x509")


def listens_for_https(node: Node) -> bool:
    return "yes" in node.run("ss -Hltn 'sport = 3443' | grep -q . && echo yes || echo no")


@pytest.mark.parametrize(
    ("variables", "mention"),
    [
        ({"platform_rate_limit": "many"}, "platform_rate_limit is many"),
        ({"platform_rate_limit": "-1"}, "platform_rate_limit is -1"),
        ({"platform_cors_origins": ["*"]}, "platform_cors_origins: * is no origin"),
        ({"platform_cors_origins": ["https://shop.example/"]}, "https://shop.example/ is no origin"),
        (
            {"platform_https_certificate": "/nowhere.pem", "platform_https_key": "/nowhere.pem"},
            "platform_https_certificate: /nowhere.pem cannot be read",
        ),
        ({"platform_https_key": "/nowhere.pem"}, "set both, or none"),
        (
            {"platform_shared_address": "192.0.2.100/24"},
            "platform_shared_address is for the machines of a Swarm",
        ),
    ],
)
def test_a_value_that_cannot_be_right_is_refused_and_the_gateway_goes_on(
    operator: Operator, node: Node, variables: dict[str, Any], mention: str
) -> None:
    before = gateway(node)
    operator.refused("site.yml", mention, **variables)
    assert gateway(node) == before
    assert not listens_for_https(node)


@pytest.mark.usefixtures("switched_off_at_the_end")
def test_they_are_switched_on_renewed_without_a_broken_request_and_switched_off(
    operator: Operator, node: Node, api: Api, certificate: Certificate, load: Load
) -> None:
    options: dict[str, Any] = certificate.variables | {"platform_cors_origins": [ORIGIN]}
    operator.run("site.yml", **options)
    assert shown_certificate(node) == certificate.text
    answer = api.get("/api/movies", headers={"Origin": ORIGIN})
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert operator.run("site.yml", **options).changes == []

    before, failed_before = gateway(node), load.failed
    certificate.renew()
    operator.run("site.yml", **options)
    assert shown_certificate(node) == certificate.text
    assert gateway(node) == before
    assert load.failed == failed_before

    operator.run("site.yml")
    assert not listens_for_https(node)
    assert "Access-Control-Allow-Origin" not in api.get("/api/movies", headers={"Origin": ORIGIN}).headers


@pytest.mark.usefixtures("switched_off_at_the_end")
def test_who_asks_too_often_is_told_to_wait(operator: Operator, api: Api) -> None:
    operator.run("site.yml", platform_rate_limit=20)
    refused = [
        answer for answer in (api.get("/api/movies?limit=1") for _ in range(100)) if answer.status_code == 429
    ]
    assert refused
    assert refused[0].headers["Retry-After"] == "2"
