"""An OpenAI-compatible address as a suspect, trusted in nothing: not to answer, to end, to be short, or to stay itself.

One request has a deadline for all of it, kept by closing the connection, so that a server that drips bytes cannot hold
it. Redirects are not followed. What the server says in an error is kept without the API key.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from excise.audit.suspects import NoReply, Reply
from excise.errors import UsageError

if TYPE_CHECKING:
    from excise.audit.plan import Sampling

MOST_BYTES: Final = 4 << 20
"""Of one response's body; what is longer is not read to its end."""
LONGEST_WAIT: Final = 120.0
"""Seconds between two attempts at most, whatever the server asks for."""
_CHUNK: Final = 1 << 16
_HOPELESS: Final = {400, 413, 422}
"""This prompt will never be answered."""
_AGAIN: Final = {408, 409, 425, 429}


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for one request in all, attempts a prompt, requests a minute."""

    timeout: float = 60.0
    attempts: int = 4
    per_minute: float = 60.0


class _Trouble(Exception):
    """One attempt that failed. `again`: try once more, after `wait` seconds if the server said so."""

    def __init__(
        self, reason: str, detail: str = "", *, again: bool = True, final: bool = False, wait: float = 0.0
    ) -> None:
        super().__init__(reason)
        self.reason, self.detail, self.again, self.final, self.wait = reason, detail, again, final, wait


class Endpoint:
    """Asks `URL/chat/completions`. Raises `UsageError` for an address or a key that cannot be used."""

    source = "endpoint"

    def __init__(
        self,
        url: str,
        model: str,
        key_env: str | None,
        sampling: Sampling,
        limits: Limits,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connect, self._path = _address(url)
        self._key = _key(key_env)
        self._body = {"model": model, "temperature": sampling.temperature, "max_tokens": sampling.max_tokens}
        self._limits = limits
        self._sleep = sleep
        self._next = 0.0

    def ask(self, query: int, prompt: str) -> Reply:  # noqa: ARG002  one interface
        """The reply to `prompt`, after as many attempts as it takes. Raises `NoReply`."""
        body = msgspec.json.encode({**self._body, "messages": [{"role": "user", "content": prompt}]})
        for attempt in range(1, self._limits.attempts + 1):
            self._pace()
            try:
                return self._once(body, attempt)
            except _Trouble as trouble:
                if not trouble.again or attempt == self._limits.attempts:
                    raise NoReply(
                        trouble.reason, self._hidden(trouble.detail), attempts=attempt, final=trouble.final
                    ) from None
                self._sleep(min(LONGEST_WAIT, max(trouble.wait, 2.0 ** (attempt - 1))))
        raise AssertionError("there is at least one attempt")

    def _pace(self) -> None:
        now = time.monotonic()
        if now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + 60.0 / self._limits.per_minute

    def _once(self, body: bytes, attempt: int) -> Reply:
        status, headers, raw = self._exchange(body)
        if status != http.client.OK:
            raise _of_status(status, headers, raw)
        return _reply(raw, attempt)

    def _exchange(self, body: bytes) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = self._connect(self._limits.timeout)
        late = threading.Event()

        def end() -> None:
            late.set()
            _hang_up(connection)

        clock = threading.Timer(self._limits.timeout, end)
        clock.daemon = True
        clock.start()
        try:
            connection.request("POST", self._path, body, self._headers())
            response = connection.getresponse()
            return response.status, response.headers, _read(response, late)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if late.is_set() or isinstance(error, TimeoutError):
                raise _Trouble("timeout") from None
            raise _Trouble("connection", f"{type(error).__name__}: {error}") from None
        finally:
            clock.cancel()
            connection.close()

    def _headers(self) -> dict[str, str]:
        plain = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
        return plain | ({"Authorization": f"Bearer {self._key}"} if self._key else {})

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
            raise _Trouble("too-large", f"more than {MOST_BYTES >> 20} MiB", again=False, final=True)
    if late.is_set():
        raise _Trouble("timeout")
    if response.length:
        raise _Trouble("cut-off", f"{response.length:,} bytes of the promised body are missing")
    return b"".join(parts)


def _of_status(status: int, headers: http.client.HTTPMessage, raw: bytes) -> _Trouble:
    detail = f"{status} {raw[:300].decode('utf-8', 'replace')}"
    if status in _HOPELESS:
        return _Trouble("refused", detail, again=False, final=True)
    return _Trouble(
        "status",
        detail,
        again=status in _AGAIN or status >= http.client.INTERNAL_SERVER_ERROR,
        wait=_seconds(headers),
    )


def _seconds(headers: http.client.HTTPMessage) -> float:
    said = headers.get("Retry-After", "")
    return float(said) if said.isascii() and said.isdigit() and len(said) < 9 else 0.0


def _reply(raw: bytes, attempt: int) -> Reply:
    try:
        value = msgspec.json.decode(raw)
        choice = value["choices"][0]
        message = choice["message"]
        content = message.get("content")
        text = msgspec.convert(content if content is not None else message.get("refusal") or "", str)
    except (
        msgspec.MsgspecError,
        ValueError,
        RecursionError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        raise _Trouble("bad-json", f"{type(error).__name__}: {error}"[:300]) from None
    usage = value.get("usage")
    claimed = usage.get("completion_tokens") if isinstance(usage, dict) else None
    name = " ".join(_text(value.get(part)) for part in ("model", "system_fingerprint")).strip()
    return Reply(
        text=text,
        model=name,
        finish=_text(choice.get("finish_reason")),
        claimed_tokens=claimed if isinstance(claimed, int) and abs(claimed) < 1 << 53 else None,
        attempts=attempt,
        raw_sha256=hashlib.sha256(raw).hexdigest(),
    )


def _text(value: Any) -> str:
    return value[:200] if isinstance(value, str) else ""


def _address(url: str) -> tuple[Callable[[float], http.client.HTTPConnection], str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(
            f"is no address: {error}", subject="--endpoint", hint="--endpoint https://host/v1"
        ) from error
    if (
        parts.scheme not in ("http", "https")
        or not host
        or parts.username is not None
        or not url.isascii()
        or not url.isprintable()
    ):
        raise UsageError(
            "is no address to ask",
            subject="--endpoint",
            hint="--endpoint https://host/v1, without a user in it",
        )
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = parts.path.rstrip("/")
    whole = path if path.endswith("/chat/completions") else f"{path}/chat/completions"
    return lambda timeout: kind(
        host, port, timeout=timeout
    ), f"{whole}?{parts.query}" if parts.query else whole


def _key(variable: str | None) -> str:
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise UsageError(
            "the environment variable holds no key", subject=variable, hint=f"export {variable}=…"
        )
    return key
