from __future__ import annotations

from tests.node.node import Node

# The gateway and the app behind it, asked the same by a neighbour.
SCRIPT = """
import json, http.client

def ask(name, port, method, path, body):
    connection = http.client.HTTPConnection(name, port, timeout=10)
    headers = {"X-Request-ID": "transparency", "X-Anything": "1"}
    if body:
        headers["Content-Type"] = "application/json"
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    ignored = {"date", "connection", "transfer-encoding", "content-length", "server", "keep-alive"}
    fields = sorted((k.lower(), v) for k, v in answer.getheaders() if k.lower() not in ignored)
    return [answer.status, fields, answer.read().decode()]

print(json.dumps([
    [ask("inventory-app", 8080, *request), ask("api-gateway-app", 3000, *request)] for request in REQUESTS
]))
"""
REQUESTS = [
    ("GET", "/api/movies?limit=3", None),
    ("GET", "/api/movies/?limit=1&after=1", None),
    ("GET", "/api/movies?title=%C3%A9%25%20%2B&limit=3", None),
    ("GET", "/api/movies?limit=0", None),
    ("GET", "/api/movies/0", None),
    ("GET", "/api/movies/abc", None),
    ("PATCH", "/api/movies", None),
    ("OPTIONS", "/api/movies", None),
    ("POST", "/api/movies", '{"title": ""}'),
    ("POST", "/api/movies", "no json"),
    ("PUT", "/api/movies/0", '{"title": "x"}'),
    ("HEAD", "/api/movies?limit=3", None),
]


def test_status_body_and_headers_pass_through_the_gateway_unchanged(node: Node) -> None:
    answers = node.python("billing-app", f"REQUESTS = {REQUESTS!r}\n{SCRIPT}")
    for request, (direct, through_gateway) in zip(REQUESTS, answers, strict=True):
        assert through_gateway == direct, request
