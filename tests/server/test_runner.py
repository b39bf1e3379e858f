"""What the runner does for all that runs side by side."""

from __future__ import annotations

import asyncio

import pytest

from server.runner import together


def test_the_first_error_ends_the_others() -> None:
    ended = []

    async def fails() -> None:
        raise ValueError("first")

    async def waits() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    with pytest.raises(ValueError, match="first"):
        asyncio.run(together([waits(), fails()]))
    assert ended


def test_given_up_it_is_cancelled_also_where_what_it_ends_fails() -> None:
    async def fails_when_cancelled() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ValueError("broken off") from None

    async def main() -> None:
        work = asyncio.create_task(together([fails_when_cancelled(), fails_when_cancelled()]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(main())
