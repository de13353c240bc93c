"""An endpoint that is hostile or broken costs one query at most, never the transcript."""

from __future__ import annotations

import socket

import pytest

from excise.audit.plan import Sampling
from excise.audit.suspects import NoReply
from excise.audit.suspects.endpoint import MOST_BYTES, Endpoint, Limits
from excise.errors import UsageError
from hostile_server import Stall, answer, raw, served


def endpoint(url, *, timeout=5.0, attempts=3, slept=None, key_env=None):
    waits = [] if slept is None else slept
    return Endpoint(url, "m", key_env, Sampling(0.7, 99), Limits(timeout, attempts, 6e6), sleep=waits.append)


def test_what_is_asked_and_what_comes_back():
    with served(answer("hello", model="m-2", tokens=3, system_fingerprint="fp")) as server:
        reply = endpoint(server.url).ask(0, "say hello")
    head, body = server.requests[0]
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1")
    assert body == {
        "model": "m",
        "temperature": 0.7,
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "say hello"}],
    }
    assert (reply.text, reply.model, reply.claimed_tokens, reply.finish, reply.attempts) == (
        "hello",
        "m-2 fp",
        3,
        "stop",
        1,
    )
    assert len(reply.raw_sha256) == 64


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
def test_what_may_pass_is_asked_again(status):
    with served(raw(b"busy", status=status), answer("at last")) as server:
        reply = endpoint(server.url).ask(0, "p")
    assert (reply.text, reply.attempts) == ("at last", 2)


def test_retry_after_is_heeded_and_bounded():
    slept = []
    with served(
        raw(b"", status=429, headers=["Retry-After: 7"]),
        raw(b"", status=429, headers=["Retry-After: 99999999"]),
        answer(),
    ) as server:
        endpoint(server.url, slept=slept).ask(0, "p")
    assert [round(s) for s in slept if s > 0.5] == [7, 120]


@pytest.mark.parametrize(
    ("step", "reason", "final"),
    [
        (raw(b"no such thing", status=404), "status", False),
        (raw(b"who", status=401), "status", False),
        (raw(b"", status=302, headers=["Location: http://127.0.0.1:1/"]), "status", False),
        (raw(b'{"error": "filtered"}', status=400), "refused", True),
        (raw(b"x" * (10 << 20)), "too-large", True),
    ],
)
def test_what_will_not_pass_is_asked_once(step, reason, final):
    with served(step) as server, pytest.raises(NoReply) as caught:
        endpoint(server.url).ask(0, "p")
    assert (caught.value.reason, caught.value.final, caught.value.attempts) == (reason, final, 1)
    assert len(server.requests) == 1


NONSENSE = {
    "html": b"<html>gateway</html>",
    "empty": b"",
    "a number": b"7",
    "no choices": b'{"choices": []}',
    "choices of text": b'{"choices": "abc"}',
    "a list for content": b'{"choices": [{"message": {"content": ["a"]}}]}',
    "no message": b'{"choices": [{"text": "a"}]}',
    "nesting": b"[" * 100_000,
    "bytes": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_a_failure_and_no_crash(body):
    with served(raw(body), raw(body)) as server, pytest.raises(NoReply, match="bad-json"):
        endpoint(server.url, attempts=2).ask(0, "p")


@pytest.mark.parametrize(("length", "reason"), [(1 << 30, "cut-off"), (5, "bad-json"), (-1, None)])
def test_a_lie_about_the_length_is_noticed(length, reason):
    whole = answer("fine")
    body = whole.partition(b"\r\n\r\n")[2]
    with served(raw(body, length=length)) as server:
        one = endpoint(server.url, attempts=1)
        if reason is None:
            assert one.ask(0, "p").text == "fine"
        else:
            with pytest.raises(NoReply, match=reason):
                one.ask(0, "p")


@pytest.mark.parametrize(
    "step", [Stall(), Stall(b"HTTP/1.1 200 OK\r\nX: "), Stall(raw(b"{", length=10_000)), Stall(raw(b"{", length=10_000), drip=0.05)],
    ids=["silent", "in the head", "in the body", "dripping"],
)  # fmt: skip
def test_a_stalling_server_is_left_at_the_deadline(step):
    with served(step) as server, pytest.raises(NoReply, match="timeout"):
        endpoint(server.url, timeout=0.4, attempts=1).ask(0, "p")


def test_a_server_that_is_not_there_is_a_failure():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NoReply, match="connection") as caught:
        endpoint(f"http://127.0.0.1:{port}/v1", attempts=2).ask(0, "p")
    assert (caught.value.attempts, caught.value.final) == (2, False)


def test_what_is_no_number_or_text_is_left_out():
    odd = answer("t", model=["x"], tokens="many", finish=7, system_fingerprint={})
    with served(odd) as server:
        reply = endpoint(server.url).ask(0, "p")
    assert (reply.model, reply.claimed_tokens, reply.finish) == ("", None, "")


def test_the_largest_answer_that_is_taken():
    with served(answer("y" * (MOST_BYTES - 1000))) as server:
        assert len(endpoint(server.url).ask(0, "p").text) == MOST_BYTES - 1000


def test_an_api_key_is_sent_and_never_told(monkeypatch):
    monkeypatch.setenv("AUDIT_TEST_KEY", "sk-secret-1234")
    with served(raw(b"bad key sk-secret-1234", status=403)) as server, pytest.raises(NoReply) as caught:
        endpoint(server.url, key_env="AUDIT_TEST_KEY").ask(0, "p")
    assert b"Authorization: Bearer sk-secret-1234" in server.requests[0][0]
    assert "sk-secret" not in str(caught.value)
    assert "[key]" in str(caught.value)


@pytest.mark.parametrize("value", ["", "a\nb", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_refused(monkeypatch, value):
    monkeypatch.setenv("AUDIT_TEST_KEY", value)
    with pytest.raises(UsageError, match="holds no key"):
        endpoint("http://localhost/v1", key_env="AUDIT_TEST_KEY")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost/v1",
        "ftp://h/v1",
        "http://",
        "http://u:p@h/v1",
        "http://h:99999/v1",
        "http://h/\r\nX: y",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(UsageError, match="no address"):
        endpoint(url)


def test_requests_are_no_more_than_the_rate_allows():
    slept = []
    with served() as server:
        one = Endpoint(server.url, "m", None, Sampling(), Limits(5.0, 1, 30.0), sleep=slept.append)
        for query in range(3):
            one.ask(query, "p")
    assert len(slept) == 2
    assert 1.5 < slept[0] <= 2
    assert 3.5 < slept[1] <= 4
