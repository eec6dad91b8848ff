"""Many hostile clients at once, in an event loop of their own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

JSON = b"Content-Type: application/json\r\n"
# Of a body.
LARGEST = 128 * 1024


@dataclass
class Attack:
    """What an attack has done so far.

    Attributes:
        connected: connections that were made.
        answers: first lines of the answers that were read.
    """

    connected: int = 0
    answers: list[bytes] = field(default_factory=list)


@contextmanager
def attack(url: str, client: Callable[[Attack], Client], clients: int) -> Iterator[Attack]:
    """Have `clients` clients at once, each of which connects again when its connection has ended.

    Returns when each has connected once; they end with the context.
    """
    parts = urlsplit(url)
    seen = Attack()
    loop = asyncio.new_event_loop()
    act = client(seen)
    connected = threading.Semaphore(0)

    async def one() -> None:
        is_first = True
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80, limit=1024)
                seen.connected += 1
                if is_first:
                    connected.release()
                    is_first = False
                try:
                    await act(reader, writer)
                finally:
                    writer.transport.abort()
            # Not at once: the attack is on the gateway, not on the two cores that the test shares with it.
            await asyncio.sleep(0.2)

    async def everyone() -> None:
        await asyncio.gather(*(one() for _ in range(clients)))

    task = loop.create_task(everyone())

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    thread = threading.Thread(target=run, name="attack")
    thread.start()
    try:
        deadline = time.monotonic() + 60
        for _ in range(clients):
            assert connected.acquire(timeout=max(0.0, deadline - time.monotonic())), "not all could connect"
        yield seen
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()


def idle(_seen: Attack) -> Client:
    """Connect and say nothing."""

    async def act(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    return act


def sends(start: bytes, drip: bytes) -> Callable[[Attack], Client]:
    """Send `start`, and then a byte of `drip` each second, over and over, until there is an answer."""

    def client(seen: Attack) -> Client:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(start)
            position = 0
            answer = asyncio.ensure_future(reader.readline())
            try:
                while not answer.done():
                    await asyncio.wait([answer], timeout=1)
                    if drip:
                        writer.write(drip[position : position + 1])
                        position = (position + 1) % len(drip)
                seen.answers.append(answer.result())
            finally:
                answer.cancel()

        return act

    return client


def sends_all(request: bytes, body: bytes, times: int = 1) -> Callable[[Attack], Client]:
    """Send `request` and `times` times `body` as fast as the gateway takes it, and read the answer."""

    def client(seen: Attack) -> Client:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            answer = asyncio.ensure_future(reader.readline())
            try:
                writer.write(request)
                for _ in range(times):
                    writer.write(body)
                    await writer.drain()
                    if answer.done():
                        break
                seen.answers.append(await answer)
            finally:
                answer.cancel()

        return act

    return client


def reads_slowly(path: str) -> Callable[[Attack], Client]:
    """Ask for `path` and read one byte of the answer each second."""

    def client(seen: Attack) -> Client:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            seen.answers.append(await reader.readline())
            while await reader.read(1):  # noqa: ASYNC110 (to wait for no condition is the attack)
                await asyncio.sleep(1)

        return act

    return client
