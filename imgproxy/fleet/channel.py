"""Questions and answers between two of our own processes, over a SOCK_SEQPACKET socket pair, both ways.

What is said is pickled: the two trust each other. Descriptors go along with a question. What is too long for
one message travels in a memfd. The end of the stream means that the other side is gone, whatever the reason:
then whoever waits for its answer is told, and what it asked is given up.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from imgproxy.errors import EngineFailed, ImgproxyError
from imgproxy.fleet import parcel

_MESSAGE_BYTES = 65_536
_INLINE_BYTES = 32_768
"""What is longer travels in a memfd: a socket's buffer holds some 200 KB."""
_MOST_DESCRIPTORS = 253  # as many as Linux passes at once (unix(7), SCM_RIGHTS)

_ASK, _ANSWER, _FAIL, _CANCEL = "ask", "answer", "fail", "cancel"

_log = logging.getLogger(__name__)


class Gone(Exception):
    """The other side is gone, and with it what was asked of it."""


class Lent:
    """The descriptors that came with a question; closed when it is answered, unless somebody takes them."""

    def __init__(self, descriptors: Sequence[int] = ()) -> None:
        self._descriptors = list(descriptors)

    def take(self) -> list[int]:
        """Make them the caller's, who closes them."""
        taken, self._descriptors = self._descriptors, []
        return taken

    def close(self) -> None:
        """Close what was not taken."""
        for each in self.take():
            os.close(each)


Handler = Callable[[Any, Lent], Awaitable[Any]]
"""Answers a question; what it raises of ours is raised at the asker, and it is cancelled if the asker is."""


class _Frame(NamedTuple):
    """One message; without `payload`, that lies in the last descriptor."""

    kind: str
    number: int
    descriptors: int
    payload: bytes | None


class Channel:
    """One end of the pair, in the running loop; `close` it, whether or not the other side is gone."""

    def __init__(
        self, end: socket.socket, handle: Handler, *, gone: Callable[[], None] = lambda: None
    ) -> None:
        """`gone` is called once when the other side is, but not by `close`."""
        end.setblocking(False)
        self._socket = end
        self._handle = handle
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._answering: dict[int, asyncio.Task[None]] = {}
        self._reading: set[asyncio.Task[None]] = set()
        self._unsent: deque[tuple[bytes, list[int]]] = deque()
        self._open = True
        self._loop.add_reader(end.fileno(), self._readable)

    async def ask(self, question: object, descriptors: Sequence[int] = ()) -> Any:
        """The other side's answer, or what it raised; `Gone` if it cannot give one any more.

        The descriptors stay the caller's, who may close them when this returns, however it does.
        """
        number = next(self._numbers)
        answer = self._asked[number] = self._loop.create_future()
        try:
            await self._say(_ASK, number, question, descriptors)
            return await answer
        except asyncio.CancelledError:
            if self._open:
                self._send(_Frame(_CANCEL, number, 0, b""), ())
            raise
        finally:
            self._asked.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen, even if we were stopped before we could look

    async def close(self) -> None:
        """Give up what either side asked of the other."""
        self._end()
        await asyncio.gather(*self._answering.values(), *self._reading, return_exceptions=True)

    async def _say(self, kind: str, number: int, what: object, descriptors: Sequence[int] = ()) -> None:
        payload = pickle.dumps(what, pickle.HIGHEST_PROTOCOL)
        if len(payload) <= _INLINE_BYTES:
            self._send(_Frame(kind, number, len(descriptors), payload), descriptors)
            return
        memfd = await parcel.pack(payload)
        try:
            self._send(_Frame(kind, number, len(descriptors) + 1, None), (*descriptors, memfd))
        finally:
            os.close(memfd)

    def _send(self, frame: _Frame, descriptors: Sequence[int]) -> None:
        """Hand a message to the kernel, or keep it with copies of its descriptors until that takes it."""
        if not self._open:
            raise Gone
        message = pickle.dumps(tuple(frame), pickle.HIGHEST_PROTOCOL)
        if not self._unsent and self._try_to_send(message, descriptors):
            return
        self._unsent.append((message, [os.dup(each) for each in descriptors]))
        self._loop.add_writer(self._socket.fileno(), self._writable)

    def _try_to_send(self, message: bytes, descriptors: Sequence[int]) -> bool:
        try:
            socket.send_fds(self._socket, [message], list(descriptors))
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError):
            raise Gone from None  # the reader is told too, and ends the rest
        return True

    def _writable(self) -> None:
        try:
            while self._unsent and self._try_to_send(*self._unsent[0]):
                _close_all(self._unsent.popleft()[1])
        except (Gone, OSError) as error:
            _log.error("a process of ours cannot be talked to: %r", error)
            self._lose()
            return
        if not self._unsent:
            self._loop.remove_writer(self._socket.fileno())

    def _readable(self) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(
                self._socket, _MESSAGE_BYTES, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:  # it closed with something of ours unread
            message, descriptors = b"", []
        if not message:
            self._lose()
            return
        self._received(_Frame(*pickle.loads(message)), descriptors)  # noqa: S301  we both trust each other

    def _received(self, frame: _Frame, descriptors: list[int]) -> None:
        lent = Lent(descriptors)
        if frame.descriptors != len(descriptors):  # we have no room for more: they were dropped on the way
            lent.close()
            _log.error("descriptors were lost: is the limit of open files too low?")
            self._lost(frame)
        elif frame.payload is not None:
            self._understood(frame, frame.payload, lent)
        else:
            self._begin_to_read(frame, lent)

    def _begin_to_read(self, frame: _Frame, lent: Lent) -> None:
        *rest, memfd = lent.take()
        if parcel.is_small(memfd):
            self._understood(frame, parcel.unpack(memfd), Lent(rest))
            return
        task = self._loop.create_task(self._read(frame, memfd, Lent(rest)))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read(self, frame: _Frame, memfd: int, lent: Lent) -> None:
        payload = await asyncio.to_thread(parcel.unpack, memfd)
        self._understood(frame, payload, lent)

    def _lost(self, frame: _Frame) -> None:
        error = EngineFailed("too many files are open")
        if frame.kind == _ASK:
            self._begin(frame.number, self._say(_FAIL, frame.number, error), Lent())
        else:
            self._settle(frame.number, error)

    def _understood(self, frame: _Frame, payload: bytes, lent: Lent) -> None:
        if not self._open:
            lent.close()
        elif frame.kind == _CANCEL:
            if task := self._answering.get(frame.number):
                task.cancel()
        elif frame.kind == _ASK:
            question = pickle.loads(payload)  # noqa: S301  we both trust each other
            self._begin(frame.number, self._answer(frame.number, question, lent), lent)
        else:
            self._settle(frame.number, pickle.loads(payload))  # noqa: S301

    def _settle(self, number: int, what: object) -> None:
        answer = self._asked.get(number)
        if answer is None or answer.done():
            return
        if isinstance(what, ImgproxyError):
            answer.set_exception(what)
        else:
            answer.set_result(what)

    def _begin(self, number: int, work: Coroutine[Any, Any, None], lent: Lent) -> None:
        task = self._loop.create_task(work)
        self._answering[number] = task
        task.add_done_callback(partial(self._done, number, lent))

    def _done(self, number: int, lent: Lent, task: asyncio.Task[None]) -> None:
        """Here and not in the task, for one that is cancelled at once never begins."""
        self._answering.pop(number, None)
        lent.close()
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, Gone):
            _log.error("a question could not be answered", exc_info=error)

    async def _answer(self, number: int, question: object, lent: Lent) -> None:
        try:
            said = await self._handle(question, lent)
        except ImgproxyError as error:
            await self._say(_FAIL, number, error)
        except Exception:
            _log.exception("a defect in an answer")
            await self._say(_FAIL, number, EngineFailed("a part of the server failed"))
        else:
            await self._say(_ANSWER, number, said)

    def _lose(self) -> None:
        self._end()
        self._gone()

    def _end(self) -> None:
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        for _, descriptors in self._unsent:
            _close_all(descriptors)
        self._unsent.clear()
        for task in self._answering.values():
            task.cancel()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(Gone())


def _close_all(descriptors: Sequence[int]) -> None:
    for each in descriptors:
        os.close(each)
