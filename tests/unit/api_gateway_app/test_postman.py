"""The committed Postman collection: tests/openapi makes it anew and runs it, but not in `make test`."""

from __future__ import annotations

import json

from tests.openapi.postman import COLLECTION, document_id, load


def test_the_collection_was_made_of_the_document_as_it_is() -> None:
    made_of = json.loads(COLLECTION.read_text(encoding="utf-8"))["info"]["_postman_id"]
    assert made_of == document_id(load()), "openapi.yaml has changed: run make postman"
