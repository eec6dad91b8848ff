"""Send requests at a fixed rate, however long the answers take; print the percentiles of the times, as JSON.

A request's time begins when it was due, so that a server that stands still is not asked less (the
"coordinated omission" of a client that waits). With a database, also the times from an order's 200 until its
row can be seen.

Usage: open_loop.py URL METHOD BODY RATE SECONDS ["CONNECTION STRING"]
"""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg2

CONNECTIONS = 64
LOOK_SECONDS = 0.004
url, method, body, rate, seconds = *sys.argv[1:4], float(sys.argv[4]), float(sys.argv[5])
parts = urlsplit(url)
path = f"{parts.path}?{parts.query}" if parts.query else parts.path
head = f"{method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
if body:
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
message = f"{head}\r\n{body}".encode()
times: list[float] = []
answered: dict[str, float] = {}
seen: dict[str, float] = {}
failed = 0


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one answer."""
    headers = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(headers.split(b" ", 2)[1])
    if b"transfer-encoding: chunked" in headers:
        content = b""
        while size := int(await reader.readline(), 16):
            content += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return status, content
    length = int(headers.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    return status, await reader.readexactly(length)


async def client(due: Iterator[float]) -> None:
    """Take the next time that is due, wait for it, ask, and again."""
    global failed
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    for when in due:
        await asyncio.sleep(when - time.monotonic())
        writer.write(message)
        status, content = await answer(reader)
        now = time.monotonic()
        times.append(now - when)
        failed += not 200 <= status < 300
        if looker:
            answered[json.loads(content)["order_id"]] = now
    writer.close()


def look() -> None:
    """Note when each new row can be seen."""
    with psycopg2.connect(sys.argv[6]) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        gives_up_at = float("inf")
        while time.monotonic() < gives_up_at:
            missing = [order_id for order_id in list(answered) if order_id not in seen]
            if missing:
                cursor.execute("SELECT order_id FROM orders WHERE order_id = ANY(%s::uuid[])", (missing,))
                now = time.monotonic()
                seen.update((str(order_id), now) for (order_id,) in cursor)
            elif finished.is_set():
                return
            if finished.is_set() and gives_up_at == float("inf"):
                gives_up_at = time.monotonic() + 10
            time.sleep(LOOK_SECONDS)


async def load() -> None:
    """Ask from all connections."""
    start = time.monotonic() + 0.5
    due = iter([start + number / rate for number in range(int(rate * seconds))])
    await asyncio.gather(*(client(due) for _ in range(CONNECTIONS)))


def percentiles(values: list[float]) -> tuple[float, float]:
    """Return the 50th and the 99th, in milliseconds."""
    ordered = sorted(values)
    return 1000 * ordered[len(ordered) // 2], 1000 * ordered[int(len(ordered) * 0.99)]


finished = threading.Event()
looker = threading.Thread(target=look) if len(sys.argv) > 6 else None
if looker:
    looker.start()
asyncio.run(load())
finished.set()
p50, p99 = percentiles(times)
result = {"requests": len(times), "p50_ms": p50, "p99_ms": p99, "not_2xx": failed}
if looker:
    looker.join()
    delays = [max(0.0, seen[order_id] - when) for order_id, when in answered.items() if order_id in seen]
    result["stored_p50_ms"], result["stored_p99_ms"] = percentiles(delays)
    result["not_stored"] = len(answered) - len(delays)
print("RESULT", json.dumps(result))
