"""Watch the table of orders grow until it rests for three seconds; print how fast it grew, as JSON.

Usage: count.py "CONNECTION STRING" LONGEST_SECONDS
"""

import json
import sys
import time

import psycopg2

REST_SECONDS = 3
longest = float(sys.argv[2])
connection = psycopg2.connect(sys.argv[1])
connection.autocommit = True
cursor = connection.cursor()


def rows() -> int:
    """Return how many orders are stored."""
    cursor.execute("SELECT count(*) FROM orders")
    row = cursor.fetchone()
    return int(row[0]) if row else 0


at_start, began = rows(), time.monotonic()
print("WATCHING", flush=True)
while (first := rows()) == at_start and time.monotonic() - began < longest:
    time.sleep(0.02)
since, last, changed = time.monotonic(), first, time.monotonic()
while time.monotonic() - changed < REST_SECONDS and time.monotonic() - began < longest:
    time.sleep(0.05)
    if (now := rows()) != last:
        last, changed = now, time.monotonic()
print("RESULT", json.dumps({"requests": last - first, "seconds": changed - since, "rows": last}))
