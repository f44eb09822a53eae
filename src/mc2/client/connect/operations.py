"""One execution: its responses are kept until the client has them, so that it can attach again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from uuid import uuid4

from mc2.client.connect.jobs import Stopped
from mc2.client.connect.proto import base_pb2
from mc2.errors import Mc2Error, UsageError

Response = base_pb2.ExecutePlanResponse
Produce = Callable[[Callable[[], bool]], Iterator[Response]]
"""Makes the responses; it is told how to find out that nobody waits any more."""

_WAIT_SECONDS = 0.5


class Operation:
    """Runs in a thread of its own; any number of streams may read what it gave."""

    def __init__(self, operation_id: str, tags: tuple[str, ...], produce: Produce) -> None:
        self.operation_id = operation_id
        self.tags = tags
        self._produce = produce
        self._changed = threading.Condition()
        self._responses: list[Response] = []
        self._error: BaseException | None = None
        self._done = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mc2-connect", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether nothing more comes."""
        with self._changed:
            return self._done

    def stop(self) -> None:
        """Let readers go at once, and the work end as soon as it looks up."""
        self._stopped.set()
        with self._changed:
            if not self._done:
                self._done = True
                self._error = Stopped(
                    "stopped; a job that was begun goes on",
                    hint="run the same DataFrame again to go on waiting for it",
                )
            self._changed.notify_all()

    def release(self, until: str | None) -> None:
        """Forget responses that the client has: all, or those up to one of them."""
        with self._changed:
            if until is None:
                self._responses.clear()
                return
            places = [i for i, r in enumerate(self._responses) if r.response_id == until]
            for response in self._responses[: places[0] + 1] if places else ():
                response.Clear()  # its place stays, so that later ones keep theirs

    def stream(self, after: str | None, here: Callable[[], bool]) -> Iterator[Response]:
        """The responses after one that the client has, as they come, while the client is there.

        Raises: whatever the work raised.
        """
        place = self._place(after)
        while here():
            with self._changed:
                if place >= len(self._responses) and not self._done:
                    self._changed.wait(_WAIT_SECONDS)
                ready = self._responses[place:]
                ended, error = self._done, self._error
            for response in ready:
                place += 1
                yield response
            if ended and not ready:
                if error is not None:
                    raise error
                return

    def _place(self, after: str | None) -> int:
        if after is None:
            return 0
        with self._changed:
            for place, response in enumerate(self._responses):
                if response.response_id == after:
                    return place + 1
        raise UsageError("the response to go on after is gone", hint="run the DataFrame again")

    def _run(self) -> None:
        try:
            for response in self._produce(self._stopped.is_set):
                if self._stopped.is_set():
                    break
                self._give(response)
            else:
                last = Response()
                last.result_complete.SetInParent()
                self._give(last)
            self._end(None)
        except Mc2Error as error:
            self._end(error)
        except BaseException as error:  # noqa: BLE001 - it must reach the reader, who tells it
            self._end(error)

    def _give(self, response: Response) -> None:
        response.operation_id = self.operation_id
        response.response_id = str(uuid4())
        with self._changed:
            self._responses.append(response)
            self._changed.notify_all()

    def _end(self, error: BaseException | None) -> None:
        with self._changed:
            if not self._done:
                self._done, self._error = True, error
            self._changed.notify_all()
