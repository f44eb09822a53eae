"""A blocking HTTP client for an application in this process, without a socket.

The application lives in an event loop of its own in a thread, so that endpoints which wait
really wait, while the test goes on.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any, Self

import httpx
from fastapi import FastAPI


class AsgiClient:
    """Sends requests to an application; use as a context manager."""

    def __init__(self, app: FastAPI, base_url: str) -> None:
        self._app = app
        self._base_url = base_url
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._lifespan = self._app.router.lifespan_context(self._app)
        self._run(self._lifespan.__aenter__())
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(
            transport=transport, base_url=self._base_url, timeout=60, trust_env=False
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._client.aclose())
        self._run(self._lifespan.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(120)

    def request(self, method: str, path: str, *, content: Any = None, headers: Any = None) -> Any:
        """Send one request; `content` may come in pieces, and then has no length."""
        if content is not None and not isinstance(content, bytes):
            content = _async(content)
        return self._run(self._client.request(method, path, content=content, headers=headers))

    def get(self, path: str, **more: Any) -> Any:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> Any:
        return self.request("POST", path, **more)

    def put(self, path: str, **more: Any) -> Any:
        return self.request("PUT", path, **more)

    def delete(self, path: str, **more: Any) -> Any:
        return self.request("DELETE", path, **more)


async def _async(pieces: Iterable[bytes]) -> Any:
    for piece in pieces:
        yield piece
