"""Watch the gateway hand over its stored orders; print how fast they went, as JSON.

Usage: drain.py LONGEST_SECONDS
"""

import json
import sys
import time
import urllib.request


def sample(name: str) -> float:
    """Return one of the gateway's metrics."""
    with urllib.request.urlopen("http://api-gateway-app:9090/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
    return 0.0


def forwarded() -> float:
    """Return how many orders were handed over so far."""
    return sample("orders_forwarded_total")


at_start, began = forwarded(), time.monotonic()
print("WATCHING", flush=True)
while (first := forwarded()) == at_start and time.monotonic() - began < float(sys.argv[1]):
    time.sleep(0.02)
since, last, changed = time.monotonic(), first, time.monotonic()
while time.monotonic() - began < float(sys.argv[1]):
    if (now := forwarded()) != last:
        last, changed = now, time.monotonic()
    elif sample("order_store_depth") == 0:
        break
    time.sleep(0.05)
print("RESULT", json.dumps({"requests": last - first, "seconds": changed - since, "all": last - at_start}))
