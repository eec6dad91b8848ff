"""One real request to an app: `python -m platform_common.smoke URL STATUS`.

It ends with 0 if URL answers with that status, else with 1, and prints what the answer was.
A candidate must pass it before it may replace a container that serves.
"""

from __future__ import annotations

import sys

from platform_common.healthcheck import probe

TIMEOUT_SECONDS = 15.0


def main(arguments: list[str]) -> int:
    """Send the request; returns the exit code."""
    url, expected = arguments
    try:
        status, body = probe(url, TIMEOUT_SECONDS)
    except OSError as error:
        print(f"{url}: no answer: {error}")
        return 1
    print(f"{url}: {status} {body}")
    return 0 if status == int(expected) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
