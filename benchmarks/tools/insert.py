"""Insert orders into a copy of the table, 500 in each transaction; print the rate as JSON.

Usage: insert.py "CONNECTION STRING" SECONDS
"""

import json
import sys
import time
import uuid

import psycopg2
from psycopg2.extras import execute_values

BATCH = 500
with psycopg2.connect(sys.argv[1]) as connection, connection.cursor() as cursor:
    cursor.execute("CREATE TABLE bench_orders (LIKE orders INCLUDING ALL)")
    connection.commit()
    began, inserted = time.monotonic(), 0
    while time.monotonic() - began < float(sys.argv[2]):
        rows = [(str(uuid.uuid4()), "20", 99, "250.00") for _ in range(BATCH)]
        execute_values(
            cursor,
            "INSERT INTO bench_orders (order_id, user_id, number_of_items, total_amount) VALUES %s",
            rows,
            page_size=BATCH,
        )
        connection.commit()
        inserted += BATCH
    took = time.monotonic() - began
print("RESULT", json.dumps({"requests": inserted, "seconds": took}))
