"""Tries a running platform with input that nobody thought of: Schemathesis, from the OpenAPI document.

Every call of the document is made with what it allows and with what it forbids, alone and in chains
(a movie is added, changed, deleted, asked for again). It deletes all movies of the platform, and leaves
orders behind, which the API cannot delete.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import requests

ROOT: Final = Path(__file__).resolve().parents[1]
CONFIGURATION: Final = ROOT / "tests/fuzz/schemathesis.toml"
# Where Schemathesis leaves its reports and the inputs that failed.
DIRECTORY: Final = ROOT / ".cache/fuzz"
EXIT_USAGE: Final = 2
_TIMEOUT_SECONDS: Final = 30


def main(arguments: list[str] | None = None) -> int:
    """Run; returns the exit code: 0 if nothing was found, 1 if something was, 2 if it did not run."""
    options = _parse(arguments)
    url = options.url.rstrip("/")
    try:
        if _holds_movies(url) and os.environ.get("PLATFORM_DESTRUCTIVE") != "1":
            print(
                f"The platform at {url} holds movies, and this would delete all of them.\n"
                "To go on all the same, set PLATFORM_DESTRUCTIVE=1.",
                file=sys.stderr,
            )
            return EXIT_USAGE
        # From an empty catalogue to an empty catalogue.
        if _delete_movies(url).status_code == HTTPStatus.UNAUTHORIZED:
            print(
                f"The platform at {url} asks for a token for every change, so that only refusals would be "
                "tried. Take one without API_TOKEN in its .env.",
                file=sys.stderr,
            )
            return EXIT_USAGE
    except (requests.RequestException, ValueError) as error:
        print(
            f"No platform answers at {url}. Start it, or name another with --url. ({error})", file=sys.stderr
        )
        return EXIT_USAGE
    try:
        code = _run_schemathesis(url, options.seconds, options.seed)
    finally:
        _delete_movies(url)
    if code:
        print(
            "\nEach `curl` above repeats one finding. The same input again: "
            f"python scripts/fuzz.py --url {url} --seed SEED, with the seed that is printed above."
        )
    return 1 if code else 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    port = os.environ.get("GATEWAY_PORT", "3000")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--url",
        default=os.environ.get("PLATFORM_URL", f"http://localhost:{port}"),
        help="where the gateway is (default: PLATFORM_URL, or localhost)",
    )
    parser.add_argument("--seconds", type=int, default=900, help="how long (default: 15 minutes)")
    parser.add_argument("--seed", type=int, help="the seed of an earlier run, for the same input")
    return parser.parse_args(arguments)


def _session() -> requests.Session:
    session = requests.Session()
    # A proxy of the environment is no part of the platform.
    session.trust_env = False
    return session


def _holds_movies(url: str) -> bool:
    return bool(_get(f"{url}/api/movies?limit=1").json()["movies"])


def _delete_movies(url: str) -> requests.Response:
    return _session().delete(f"{url}/api/movies", timeout=_TIMEOUT_SECONDS)


def _get(url: str) -> requests.Response:
    response = _session().get(url, timeout=_TIMEOUT_SECONDS)
    response.raise_for_status()
    return response


def exact(document: dict[str, Any]) -> dict[str, Any]:
    """Return the API's document with what it leaves to the server because common validators cannot judge it.

    Schemathesis counts decimals exactly, and then also tries amounts with too many of them. Texts with an
    exponent it is told not to try: whether one is within the limits, no schema can say.
    """
    schemas = document["components"]["schemas"]
    number, *texts = schemas["TotalAmount"]["anyOf"]
    amount = schemas["TotalAmount"] | {"anyOf": [number | {"multipleOf": 0.01}, *texts]}
    without_exponent = {"TotalAmount": amount, "NumberWithExponent": {"not": {}}}
    return document | {"components": document["components"] | {"schemas": schemas | without_exponent}}


def _run_schemathesis(url: str, seconds: int, seed: int | None) -> int:
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    document = DIRECTORY / "openapi.json"
    # As a file: where Schemathesis is given the document's address, it leaves that call out.
    document.write_text(json.dumps(exact(_get(f"{url}/openapi.json").json())))
    command = [
        *(str(Path(sys.executable).parent / "st"), "--config-file", str(CONFIGURATION)),
        *("run", str(document), "--url", url, "--max-time", str(seconds)),
    ]
    if seed is not None:
        command += ["--seed", str(seed)]
    return subprocess.run(command, cwd=DIRECTORY, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
