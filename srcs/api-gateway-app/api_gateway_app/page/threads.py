"""Calling what blocks from an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

_Result = TypeVar("_Result")


async def in_thread(function: Callable[..., _Result], *arguments: Any) -> _Result:
    """Return what `function` returns in a thread of its own.

    Not asyncio.to_thread: its threads are waited for when the process ends, and one may be waiting for a
    broker that stands still.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Result] = loop.create_future()

    def tell(setter: Callable[[Any], None], value: object) -> None:
        def tell_if_awaited() -> None:
            if not future.done():
                setter(value)

        # RuntimeError: the loop has ended meanwhile.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell_if_awaited)

    def run() -> None:
        try:
            result = function(*arguments)
        except Exception as error:  # noqa: BLE001 (handed on, not swallowed)
            tell(future.set_exception, error)
        else:
            tell(future.set_result, result)

    threading.Thread(target=run, name=f"page: {function.__qualname__}", daemon=True).start()
    return await future
