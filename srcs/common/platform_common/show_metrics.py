"""An app's own metrics, for people: `python -m platform_common.show_metrics [BEGINNING]`.

The port of the metrics is never published. Inside the container this prints the samples whose name begins
as asked, or all.
"""

from __future__ import annotations

import sys
from urllib.request import urlopen

from platform_common.settings import Environment

TIMEOUT_SECONDS = 5.0


def main(arguments: list[str]) -> int:
    """Print them; returns the exit code."""
    beginning = arguments[0] if arguments else ""
    port = Environment().integer("METRICS_PORT", 9090, 1, 65535)
    url = f"http://127.0.0.1:{port}/metrics"
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            lines = answer.read().decode().splitlines()
    except OSError as error:
        print(f"{url} does not answer: {error}", file=sys.stderr)
        return 1
    for line in lines:
        if line.startswith(beginning):
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
