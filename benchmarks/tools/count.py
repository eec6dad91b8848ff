"""Watch the table of orders until it holds TOTAL rows; print how fast it grew from its first new row on.

Usage: count.py "CONNECTION STRING" TOTAL LONGEST_SECONDS
"""

import json
import sys
import time

import psycopg2

total, longest = int(sys.argv[2]), float(sys.argv[3])
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
since, last = time.monotonic(), first
while last < total and time.monotonic() - began < longest:
    time.sleep(0.05)
    last = rows()
print("RESULT", json.dumps({"requests": last - first, "seconds": time.monotonic() - since, "rows": last}))
