from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from openapi_spec_validator import validate
from tests.library.api import Api, assert_problem

OPERATIONS = {
    ("get", "/api/movies"),
    ("post", "/api/movies"),
    ("delete", "/api/movies"),
    ("get", "/api/movies/{}"),
    ("put", "/api/movies/{}"),
    ("delete", "/api/movies/{}"),
    ("post", "/api/billing"),
    ("get", "/api/billing/{}"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
}
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}


class Assets(HTMLParser):
    """Collects what a page loads."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if value and (name == "src" or (name == "href" and tag == "link")):
                self.urls.append(value)


def test_the_openapi_document_is_valid(api: Api) -> None:
    response = api.get("/openapi.json")
    assert response.status_code == 200
    assert response.headers["Content-Type"].split(";")[0] == "application/json"
    validate(response.json())


def test_the_openapi_document_describes_every_call_of_the_contract(api: Api) -> None:
    described = {
        (method, "".join("{}" if part.startswith("{") else part for part in _parts(path)))
        for path, item in api.get("/openapi.json").json()["paths"].items()
        for method in METHODS & item.keys()
    }
    assert described >= OPERATIONS


# The statuses that the contract names for each call, beside those that any call can have.
ANSWERS = {
    "listMovies": {"200", "400", "502", "503", "504"},
    "addMovie": {"200", "400", "401", "413", "415", "502", "503", "504"},
    "deleteMovies": {"200", "400", "401", "502", "503", "504"},
    "getMovie": {"200", "404", "502", "503", "504"},
    "changeMovie": {"200", "400", "401", "404", "413", "415", "502", "503", "504"},
    "deleteMovie": {"200", "401", "404", "502", "503", "504"},
    "postOrder": {"200", "400", "401", "413", "415", "422", "503"},
    "getOrder": {"200", "404", "502", "503", "504"},
    "getLiveness": {"200"},
    "getReadiness": {"200", "503"},
    "getOpenapi": {"200"},
    "getDocs": {"200"},
}


def test_the_openapi_document_describes_every_answer_of_the_contract(api: Api) -> None:
    described = {
        operation["operationId"]: operation["responses"].keys()
        for item in api.get("/openapi.json").json()["paths"].values()
        for method, operation in item.items()
        if method in METHODS
    }
    for operation_id, statuses in ANSWERS.items():
        assert described[operation_id] >= statuses | {"405"}, operation_id


def test_every_described_answer_has_the_headers_of_the_contract(api: Api) -> None:
    document = api.get("/openapi.json").json()
    for name, response in document["components"]["responses"].items():
        assert "X-Request-ID" in response["headers"], name
    responses = document["components"]["responses"]
    assert "Allow" in responses["MethodNotAllowed"]["headers"]
    assert "Retry-After" in responses["ServiceUnavailable"]["headers"]
    assert "Location" in document["paths"]["/api/movies"]["post"]["responses"]["200"]["headers"]


def _parts(path: str) -> list[str]:
    return path.replace("{", "\0{").replace("}", "}\0").split("\0")


def test_every_described_error_is_a_problem_document(api: Api) -> None:
    document = api.get("/openapi.json").json()
    for name, response in document["components"]["responses"].items():
        assert "application/problem+json" in response["content"], name


def test_the_docs_page_needs_nothing_from_another_site(api: Api) -> None:
    response = api.get("/docs")
    assert response.status_code == 200
    assert response.headers["Content-Type"].split(";")[0] == "text/html"
    assets = Assets(response.text).urls
    assert assets, "a page to try the API from has a script"
    for asset in assets:
        url = urljoin(f"{api.url}/docs", asset)
        assert urlsplit(url).netloc == urlsplit(api.url).netloc, asset
        loaded = api.get(url.removeprefix(api.url))
        assert loaded.status_code == 200, asset
        assert loaded.content, asset
        if loaded.headers["Content-Type"].startswith("text/css"):
            assert "url(http" not in loaded.text
            assert "@import" not in loaded.text


def test_the_docs_page_works_at_both_of_its_addresses(api: Api) -> None:
    for page in ("/docs", "/docs/"):
        for asset in Assets(api.get(page).text).urls:
            path = urljoin(api.url + page, asset).removeprefix(api.url)
            assert api.get(path).status_code == 200, f"{asset} from {page}"


def test_the_docs_page_may_contact_this_site_only(api: Api) -> None:
    for path in ("/docs", "/docs/"):
        policy = api.get(path).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "http" not in policy


@pytest.mark.parametrize("name", ["index.html", "nowhere.js", "%2e%2e%2f__init__.py"])
def test_nothing_else_is_served_beside_the_docs_page(api: Api, name: str) -> None:
    assert_problem(api.get(f"/docs/{name}"), 404)


def test_the_docs_page_leads_to_a_postman_collection_to_download(api: Api) -> None:
    assert "(/docs/postman.json)" in api.get("/openapi.json").json()["info"]["description"]
    response = api.get("/docs/postman.json")
    assert response.status_code == 200
    assert response.headers["Content-Disposition"].startswith("attachment; filename=play-with-containers.")
    assert "v2.1.0" in response.json()["info"]["schema"]


def test_who_has_the_openapi_document_already_does_not_get_it_again(api: Api) -> None:
    tag = api.get("/openapi.json").headers["ETag"]
    again = api.get("/openapi.json", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_the_front_page_leads_to_the_docs(api: Api) -> None:
    response = api.get("/")
    if response.status_code == 200:
        assert response.headers["Content-Type"].split(";")[0] == "text/html"
    else:
        assert response.status_code in {301, 302, 303, 307, 308}
        assert urljoin(f"{api.url}/", response.headers["Location"]) == f"{api.url}/docs"
