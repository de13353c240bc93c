"""One JSON request to one address that is trusted in nothing: not to answer, to end, to be short, or to stay itself.

One request has a deadline for all of it, kept by closing the connection, so that a server that drips bytes cannot hold
it. Redirects are not followed. What the server says in an error is kept without the API key.
"""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlsplit

from excise.errors import UsageError

Got = TypeVar("Got")

MOST_BYTES: Final = 4 << 20
"""Of one response's body; what is longer is not read to its end."""
LONGEST_WAIT: Final = 120.0
"""Seconds between two attempts at most, whatever the server asks for."""
_CHUNK: Final = 1 << 16
_HOPELESS: Final = {400, 413, 422}
"""This body will never be answered."""
_AGAIN: Final = {408, 409, 425, 429}


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for one request in all, attempts a request, requests a minute."""

    timeout: float = 60.0
    attempts: int = 4
    per_minute: float = 60.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where to ask: host, port, path with its query."""

    host: str
    port: int
    path: str
    tls: bool

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        """A connection that is not open yet."""
        kind = http.client.HTTPSConnection if self.tls else http.client.HTTPConnection
        return kind(self.host, self.port, timeout=timeout)


class Trouble(Exception):
    """An attempt that failed. `again`: try once more, after `wait` seconds if the server said so.

    `reason` is a short stable word, `detail` is foreign text; `final`: asking again later would not help either.
    `attempts` is how many were made when it is raised out of `Wire.post`.
    """

    def __init__(
        self, reason: str, detail: str = "", *, again: bool = True, final: bool = False, wait: float = 0.0
    ) -> None:
        super().__init__(reason)
        self.reason, self.detail, self.again, self.final, self.wait = reason, detail, again, final, wait
        self.attempts = 1


class Wire:
    """Posts to `address` with `headers`; `key` is what is taken out of everything that is said about a failure."""

    def __init__(
        self,
        address: Address,
        limits: Limits,
        headers: Mapping[str, str],
        key: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        plain = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
        self._address, self._limits, self._key, self._sleep = address, limits, key, sleep
        self._headers = plain | dict(headers)
        self._next = 0.0

    def post(self, body: bytes, read: Callable[[bytes], Got]) -> tuple[Got, int]:
        """What `read` makes of the answer's body, and the attempts that it took. Raises `Trouble`, as `read` may."""
        for attempt in range(1, self._limits.attempts + 1):
            self._pace()
            try:
                return read(self._once(body)), attempt
            except Trouble as trouble:
                if not trouble.again or attempt == self._limits.attempts:
                    trouble.attempts, trouble.detail = attempt, self._hidden(trouble.detail)
                    raise
                self._sleep(min(LONGEST_WAIT, max(trouble.wait, 2.0 ** (attempt - 1))))
        raise AssertionError("there is at least one attempt")

    def _pace(self) -> None:
        now = time.monotonic()
        if now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + 60.0 / self._limits.per_minute

    def _once(self, body: bytes) -> bytes:
        status, headers, raw = self._exchange(body)
        if status != http.client.OK:
            raise _of_status(status, headers, raw)
        return raw

    def _exchange(self, body: bytes) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = self._address.connect(self._limits.timeout)
        late = threading.Event()

        def end() -> None:
            late.set()
            _hang_up(connection)

        clock = threading.Timer(self._limits.timeout, end)
        clock.daemon = True
        clock.start()
        try:
            connection.request("POST", self._address.path, body, self._headers)
            response = connection.getresponse()
            return response.status, response.headers, _read(response, late)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if late.is_set() or isinstance(error, TimeoutError):
                raise Trouble("timeout") from None
            raise Trouble("connection", f"{type(error).__name__}: {error}") from None
        finally:
            clock.cancel()
            connection.close()

    def _hidden(self, detail: str) -> str:
        return detail.replace(self._key, "[key]") if self._key else detail


def _hang_up(connection: http.client.HTTPConnection) -> None:
    try:
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def _read(response: http.client.HTTPResponse, late: threading.Event) -> bytes:
    parts, size = [], 0
    while part := response.read(_CHUNK):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise Trouble("too-large", f"more than {MOST_BYTES >> 20} MiB", again=False, final=True)
    if late.is_set():
        raise Trouble("timeout")
    if response.length:
        raise Trouble("cut-off", f"{response.length:,} bytes of the promised body are missing")
    return b"".join(parts)


def _of_status(status: int, headers: http.client.HTTPMessage, raw: bytes) -> Trouble:
    detail = f"{status} {raw[:300].decode('utf-8', 'replace')}"
    if status in _HOPELESS:
        return Trouble("refused", detail, again=False, final=True)
    return Trouble(
        "status",
        detail,
        again=status in _AGAIN or status >= http.client.INTERNAL_SERVER_ERROR,
        wait=_seconds(headers),
    )


def _seconds(headers: http.client.HTTPMessage) -> float:
    said = headers.get("Retry-After", "")
    return float(said) if said.isascii() and said.isdigit() and len(said) < 9 else 0.0


def address(url: str, ending: str, option: str) -> Address:
    """The address of `url` below `ending` (`/chat/completions`). Raises `UsageError`, which names `option`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(
            f"is no address: {error}", subject=option, hint=f"{option} https://host/v1"
        ) from error
    if (
        parts.scheme not in ("http", "https")
        or not host
        or parts.username is not None
        or not url.isascii()
        or not url.isprintable()
    ):
        raise UsageError(
            "is no address to ask", subject=option, hint=f"{option} https://host/v1, without a user in it"
        )
    path = parts.path.rstrip("/")
    whole = path if path.endswith(ending) else path + ending
    tls = parts.scheme == "https"
    return Address(
        host, port or (443 if tls else 80), f"{whole}?{parts.query}" if parts.query else whole, tls
    )


def key_of(variable: str | None) -> str:
    """The API key in an environment variable, empty where none is named. Raises `UsageError` where it holds none."""
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise UsageError(
            "the environment variable holds no key", subject=variable, hint=f"export {variable}=…"
        )
    return key
