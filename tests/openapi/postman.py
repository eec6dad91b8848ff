"""The Postman collection of the API, made of openapi.yaml by openapi-to-postmanv2.

    make postman

What is added to it makes a run of the whole collection succeed: who creates comes before who asks, an id of
an answer goes into the next request as the document's `links` say, and each status must be below 400.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml
from tests.openapi.tools import DIRECTORY, ROOT, install, run

DOCUMENT: Final = ROOT / "srcs/api-gateway-app/openapi.yaml"
COLLECTION: Final = ROOT / "srcs/api-gateway-app/postman.json"
OPTIONS: Final[dict[str, str | bool]] = {
    "folderStrategy": "Tags",
    "parametersResolution": "Example",
    # They are there to be switched on.
    "enableOptionalParameters": False,
    "includeAuthInfoInExample": False,
}
GATEWAY: Final = "http://localhost:3000"
METHODS: Final = ("POST", "GET", "PUT", "DELETE")
TOKEN: Final = {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]}
SUCCEEDS: Final = ('pm.test("The status is below 400", () => pm.expect(pm.response.code).to.be.below(400));',)
# An accepted order is stored a moment later.
IS_STORED_SOON: Final = (
    'const tries = Number(pm.collectionVariables.get("tries") || 0);',
    "const isOver = pm.response.code !== 404 || tries === 50;",
    'pm.collectionVariables.set("tries", isOver ? 0 : tries + 1);',
    "if (isOver) {",
    f"  {SUCCEEDS[0]}",
    "} else {",
    "  pm.execution.setNextRequest(pm.info.requestName);",
    "}",
)
MAY_DELETE_ALL: Final = (
    'if (pm.variables.get("may_delete_all") !== "yes") {',
    "  pm.execution.skipRequest();",
    "}",
)
MAY_DELETE_ALL_SAYS: Final = (
    "Skipped unless the collection's variable `may_delete_all` is `yes`, so that a run of the whole "
    "collection does not empty your catalogue."
)


def document_id(document: Mapping[str, Any]) -> str:
    """Return an id that changes with everything that the OpenAPI document says."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True)))


def load() -> dict[str, Any]:
    """Return the OpenAPI document."""
    document: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    return document


def make_collection() -> str:
    """Return the collection as the text of its file."""
    source, target, options = (
        DIRECTORY / name for name in ("document.json", "collection.json", "options.json")
    )
    document = load()
    source.write_text(json.dumps(document))
    options.write_text(json.dumps(OPTIONS))
    run("openapi2postmanv2", "--spec", source, "--output", target, "--options-config", options)
    collection = _without_what_changes(json.loads(target.read_text()))
    requests = [item for folder in collection["item"] for item in folder["item"]]
    for item in requests:
        _complete(item, document)
    for folder in collection["item"]:
        folder["item"].sort(key=_turn)
    variables = {"baseUrl": GATEWAY, "token": "", "may_delete_all": "no"} | {
        name: str(value["value"]) for item in requests for name, value in _path_variables(item)
    }
    for item in requests:
        for name, value in _path_variables(item):
            value["value"] = f"{{{{{name}}}}}"
    made = {
        "info": collection["info"] | {"_postman_id": document_id(document)},
        "variable": [{"key": name, "value": value} for name, value in variables.items()],
        "item": collection["item"],
    }
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def _without_what_changes(value: Any) -> Any:
    """Return it without ids, which are new each time, and without examples of answers: /docs has them."""
    if isinstance(value, dict):
        return {
            name: _without_what_changes(each)
            for name, each in value.items()
            if name not in {"id", "_postman_id", "response", "protocolProfileBehavior", "event"}
        }
    return [_without_what_changes(each) for each in value] if isinstance(value, list) else value


def _complete(item: dict[str, Any], document: Mapping[str, Any]) -> None:
    """Add to a request its login and its scripts."""
    request = item["request"]
    path = "/" + "/".join(re.sub("^:(.+)", r"{\1}", each) for each in request["url"]["path"])
    operation = document["paths"][path][request["method"].lower()]
    request.pop("auth", None)
    if operation.get("security"):
        request["auth"] = TOKEN
    tests = IS_STORED_SOON if operation["operationId"] == "getOrder" else SUCCEEDS
    item["event"] = [_script("test", *tests, *_remembers(operation))]
    if operation["operationId"] == "deleteMovies":
        item["event"].append(_script("prerequest", *MAY_DELETE_ALL))
        request["description"] = MAY_DELETE_ALL_SAYS


def _remembers(operation: Mapping[str, Any]) -> list[str]:
    """Return lines that keep what the links of an answer hand on to other requests."""
    links = operation["responses"]["200"].get("links", {}).values()
    handed_on = {name: value for link in links for name, value in link["parameters"].items()}
    return [
        f'pm.collectionVariables.set("{name}", pm.response.json().{value.removeprefix("$response.body#/")});'
        for name, value in handed_on.items()
    ]


def _script(listen: str, *lines: str) -> dict[str, Any]:
    return {"listen": listen, "script": {"type": "text/javascript", "exec": list(lines)}}


def _turn(item: Mapping[str, Any]) -> tuple[int, int]:
    """Order the requests of a folder: what deletes all comes last."""
    return METHODS.index(item["request"]["method"]), -len(item["request"]["url"]["path"])


def _path_variables(item: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for variable in item["request"]["url"].get("variable", []):
        yield variable["key"], variable


if __name__ == "__main__":
    install()
    COLLECTION.write_text(make_collection(), encoding="utf-8")
