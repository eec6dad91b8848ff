from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from gateway_process import Gateway
from servers import RabbitMQ

from api_gateway_app.docs import load_openapi


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMQ) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), rabbitmq, {"WORKERS": "1"})
    gateway.start()
    yield gateway
    gateway.kill()


def test_the_root_leads_to_the_docs(gateway: Gateway) -> None:
    answer = gateway.request("GET", "/")
    assert (answer.status, answer.header("Location")) == (302, "/docs")


def test_every_asset_of_the_page_comes_from_here(gateway: Gateway) -> None:
    page = gateway.request("GET", "/docs").body.decode()
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(assets) >= 4
    for asset in assets:
        assert asset.startswith("/")
        assert gateway.request("GET", asset).status == 200


def test_the_page_may_contact_this_site_only(gateway: Gateway) -> None:
    policy = gateway.request("GET", "/docs/").header("Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "http" not in policy


@pytest.mark.parametrize("name", ["index.html", "..", "%2e%2e%2f__init__.py", "swagger-ui.js"])
def test_nothing_else_is_served_beside_it(gateway: Gateway, name: str) -> None:
    assert gateway.request("GET", f"/docs/{name}").status == 404


def test_the_description_is_the_one_in_the_repository(gateway: Gateway) -> None:
    answer = gateway.request("GET", "/openapi.json")
    assert json.loads(answer.body) == json.loads(json.dumps(load_openapi()))
    again = gateway.request("GET", "/openapi.json", headers={"If-None-Match": answer.header("ETag") or ""})
    assert (again.status, again.body) == (304, b"")


def test_every_error_of_the_contract_is_described() -> None:
    document = load_openapi()
    for path, methods in {
        "/api/movies": ["get", "post", "delete"],
        "/api/movies/{id}": ["get", "put", "delete"],
        "/api/billing": ["post"],
        "/api/billing/{order_id}": ["get"],
    }.items():
        for method in methods:
            expected = {"200", "400", "405", "500", "503"}
            expected |= {"401"} if method != "get" else set()
            expected |= {"413", "415"} if method in {"post", "put"} else set()
            expected |= {"404"} if "{" in path else set()
            expected |= {"422"} if path == "/api/billing" else {"502", "504"}
            assert set(document["paths"][path][method]["responses"]) == expected
