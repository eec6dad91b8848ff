"""How the page learns that a deployment tries a new version."""

from __future__ import annotations

import asyncio

from api_gateway_app.page.candidates import Candidates, has_address

URLS = {"inventory-app": "http://inventory-app:8080", "billing-app": "http://billing.example/prefix"}


def test_a_candidate_is_found_by_its_name() -> None:
    names: list[str] = []

    def is_there(name: str) -> bool:
        names.append(name)
        return name == "inventory-app-candidate"

    assert asyncio.run(Candidates(URLS, is_there).look()) == ["inventory-app"]
    assert sorted(names) == ["billing.example-candidate", "inventory-app-candidate"]


def test_an_app_without_a_name_has_none() -> None:
    urls = {"inventory-app": "http://127.0.0.1:8080", "billing-app": "http://[::1]:8080"}
    assert asyncio.run(Candidates(urls, lambda _: True).look()) == []


def test_a_name_that_nobody_knows_has_no_address() -> None:
    assert has_address("localhost")
    assert not has_address("inventory-app-candidate.invalid")
