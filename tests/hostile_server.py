"""A server on this machine that answers as it is told to, mostly badly. Each step is used for one request."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from contextlib import contextmanager


def answer(text="fine", *, model="suspect-1", tokens=None, finish="stop", status=200, **more):
    """The bytes of a whole response."""
    value = {
        "model": model,
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        **({"usage": {"completion_tokens": tokens}} if tokens is not None else {}),
        **more,
    }
    return raw(json.dumps(value).encode(), status=status)


def raw(body, *, status=200, length=None, headers=()):
    head = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


class Stall:
    """Accept, send `first`, then say nothing until the client gives up."""

    def __init__(self, first=b"", drip=0.0):
        self.first, self.drip = first, drip


class Server:
    def __init__(self, steps):
        self.steps = deque(steps)
        self.requests = []
        self.stop = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(0.05)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/v1"

    def serve(self):
        while not self.stop.is_set():
            try:
                connection, _ = self.socket.accept()
            except TimeoutError:
                continue
            with connection:
                self.one(connection)

    def one(self, connection):
        connection.settimeout(5)
        try:
            self.requests.append(self.read(connection))
            step = self.steps.popleft() if self.steps else answer()
            if isinstance(step, Stall):
                connection.sendall(step.first)
                while not self.stop.wait(step.drip or 0.02):
                    connection.sendall(b"x" if step.drip else b"")
                    if not step.drip and self.gone(connection):
                        return
            else:
                connection.sendall(step)
        except OSError:
            pass

    @staticmethod
    def gone(connection):
        connection.settimeout(0.02)
        try:
            return connection.recv(1) == b""
        except TimeoutError:
            return False

    @staticmethod
    def more(connection):
        got = connection.recv(65536)
        if not got:
            raise OSError("the client left")
        return got

    @staticmethod
    def read(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            data += Server.more(connection)
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        while len(body) < length:
            body += Server.more(connection)
        return head, json.loads(body)


@contextmanager
def served(*steps):
    """A server for the length of the body."""
    server = Server(steps)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        thread.join()
        server.socket.close()
