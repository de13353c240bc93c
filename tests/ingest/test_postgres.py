"""The live PostgreSQL source, against a real server that the test starts and throws away."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from excise.errors import BadRow, InputError, UsageError
from excise.ingest import postgres
from excise.ingest.postgres import read_spend_logs, safe_url

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
ROWS = FIXTURES / "litellm-1.106.2-spendlogs_rows.ndjson"
TABLE = FIXTURES / "litellm-proxy-extras-0.4.108-spendlogs.sql"
JSON_COLUMNS = ("metadata", "request_tags", "messages", "response", "proxy_server_request")


def _binaries():
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _missing(what):
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}; CI must have PostgreSQL")
    pytest.skip(what)


class Server:
    """A throwaway cluster, owned by `postgres` where the test runs as root, which the server refuses to do."""

    def __init__(self, folder, binaries):
        self.folder, self.binaries = folder, binaries
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.user = None
        if os.geteuid() == 0:
            self.user = "postgres"
            owner = pwd.getpwnam(self.user)
            os.chown(folder, owner.pw_uid, owner.pw_gid)

    def _run(self, *command):
        subprocess.run(
            [str(self.binaries / command[0]), *command[1:]],
            user=self.user, cwd=self.folder, check=True, timeout=60,
            stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def start(self):
        secret = self.folder / "secret"
        secret.write_text("hunter2")
        secret.chmod(0o644)
        data = str(self.folder / "data")
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", str(secret),
                  "-E", "UTF8", "--no-sync")  # fmt: skip
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", data, "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self):
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    def url(self, user="postgres", password="hunter2"):
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/postgres"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    pytest.importorskip("psycopg")
    binaries = _binaries()
    if binaries is None:
        _missing("no PostgreSQL server binaries in /usr/lib/postgresql or PATH")
    import tempfile

    with tempfile.TemporaryDirectory(prefix="excise-pg-", dir="/tmp") as folder:
        cluster = Server(Path(folder), binaries)
        cluster.start()
        try:
            _fill(cluster)
            yield cluster
        finally:
            cluster.stop()


def _fill(cluster):
    import psycopg

    with psycopg.connect(cluster.url()) as connection:
        connection.execute(TABLE.read_text())
        connection.execute("create role reader login password 'reader2'")
        connection.execute("create role nobody login password 'nobody2'")
        connection.execute('grant select on "LiteLLM_SpendLogs" to reader')
        for row in stored():
            names = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join(["%s"] * len(row))
            connection.execute(
                f'insert into "LiteLLM_SpendLogs" ({names}) values ({marks})', list(row.values())
            )


def source_rows():
    return [json.loads(line) for line in ROWS.read_text().splitlines()]


def stored():
    """The fixture's rows as the table can hold them: `request_id` is its key, and the fake upstream repeats it."""
    for number, row in enumerate(source_rows()):
        yield {**row, "request_id": f"{row['request_id']}-{number}"}


def golden():
    lines = (FIXTURES.parent / "golden" / ROWS.name).read_text().splitlines()
    return [json.loads(line) for line in lines]


def as_stored(row):
    """What a row is after it was in the table: times have milliseconds, and jsonb keeps no order of keys."""
    kept = {name: value for name, value in row.items() if name != "header_order"}
    tools = json.loads(row.get("tools_json", "null"))
    return {**kept, "tools_json": tools, "started_at": (row["started_at"] + 500) // 1000}


def test_the_table_reads_as_its_export_does(server):
    found = list(read_spend_logs(server.url("reader", "reader2")))
    assert [as_stored(row) for row in found] == [as_stored(row) for row in golden()]
    assert not any("header_order" in row for row in found)


@pytest.mark.parametrize("page_rows", [1, 2, 5, 6, 7])
def test_pages_neither_lose_nor_repeat_rows(server, page_rows):
    whole = list(read_spend_logs(server.url()))
    assert list(read_spend_logs(server.url(), page_rows=page_rows)) == whole
    assert len({row["exchange_id"] for row in whole}) == 6


def test_rows_of_one_moment_are_all_read(server):
    import psycopg

    with psycopg.connect(server.url()) as connection:
        connection.execute('create table same_time (like "LiteLLM_SpendLogs" including all)')
        connection.execute(
            'insert into same_time (request_id, call_type, "startTime", "endTime", model, "user")'
            " select 'r' || n, 'acompletion', '2026-11-23', '2026-11-23', 'm', 'a' from generate_series(1, 25) n"
        )
    found = list(read_spend_logs(server.url(), page_rows=4, table="public.same_time"))
    assert len({row["exchange_id"] for row in found}) == 25


def test_rows_written_meanwhile_are_not_in_the_snapshot(server):
    import psycopg

    rows = read_spend_logs(server.url(), page_rows=1)
    first = next(rows)
    with psycopg.connect(server.url(), autocommit=True) as other:
        other.execute(
            'insert into "LiteLLM_SpendLogs" (request_id, call_type, "startTime", "endTime")'
            " values ('late', 'acompletion', '2026-11-24', '2026-11-24')"
        )
        try:
            assert len([first, *rows]) == 6
        finally:
            other.execute("delete from \"LiteLLM_SpendLogs\" where request_id = 'late'")


def test_since_cuts_at_a_time_in_utc(server):
    since = datetime(2026, 11, 23, 7, 40, 47, tzinfo=UTC)
    assert len(list(read_spend_logs(server.url(), since=since))) == 3
    assert len(list(read_spend_logs(server.url(), since=since.replace(tzinfo=None)))) == 3


def test_json_kept_as_text_and_rows_without_an_account_are_survived(server):
    import psycopg

    with psycopg.connect(server.url()) as connection:
        connection.execute('create table odd (like "LiteLLM_SpendLogs" including all)')
        connection.execute(
            'insert into odd (request_id, call_type, "startTime", "endTime", model, "user", proxy_server_request)'
            " values ('text', 'acompletion', '2026-11-23', '2026-11-23', 'm', 'a', to_jsonb(%s::text)),"
            " ('bare', 'acompletion', '2026-11-24', '2026-11-24', 'm', '', '[1]')",
            (json.dumps({"messages": [{"role": "user", "content": "hi"}]}),),
        )
    text, bare = read_spend_logs(server.url(), table="odd")
    assert text["user_text"] == "hi"
    assert isinstance(bare, BadRow)
    assert bare.reason == "no-account"


def test_nothing_can_be_written_through_the_connection(server, monkeypatch):
    import psycopg

    def write(connection, query, page_rows, since):
        connection.execute("create table mine (x int)")
        yield {}

    monkeypatch.setattr(postgres, "_pages", write)
    with pytest.raises(InputError, match="ReadOnlySqlTransaction"):
        list(read_spend_logs(server.url()))
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("select to_regclass('mine')").fetchone() == (None,)


def test_a_table_name_is_a_name_and_no_sql(server):
    with pytest.raises(InputError, match="has no table") as caught:
        list(read_spend_logs(server.url(), table='x"; drop table "LiteLLM_SpendLogs'))
    assert caught.value.hint
    assert len(list(read_spend_logs(server.url()))) == 6


def test_missing_rights_say_what_to_grant(server):
    with pytest.raises(InputError, match="may not read") as caught:
        list(read_spend_logs(server.url("nobody", "nobody2")))
    assert "grant select" in caught.value.hint


@pytest.mark.parametrize(("user", "password"), [("postgres", "s3cret-wrong"), ("ghost", "s3cret-wrong")])
def test_a_refused_login_shows_no_password(server, user, password):
    with pytest.raises(InputError, match="cannot be reached, or refuses the login") as caught:
        list(read_spend_logs(server.url(user, password)))
    assert password not in f"{caught.value} {caught.value.hint} {caught.value!r}"
    assert caught.value.__cause__ is None
    assert caught.value.hint


def test_a_server_that_is_down_is_an_input_error():
    pytest.importorskip("psycopg")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://u:s3cret@127.0.0.1:{taken.getsockname()[1]}/db"
        with pytest.raises(InputError, match="cannot be reached") as caught:
            list(read_spend_logs(url))
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"


def test_without_psycopg_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match="psycopg") as caught:
        list(read_spend_logs("postgresql://u:s3cret@h/db"))
    assert "excise[postgres]" in caught.value.hint
    assert "s3cret" not in str(caught.value)


def test_a_page_of_no_rows_is_refused():
    with pytest.raises(UsageError):
        list(read_spend_logs("postgresql://h/db", page_rows=0))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:pw@h:5432/db", "postgresql://u@h:5432/db"),
        ("postgresql://u:p%40w:x@h/db?sslmode=require&password=pw2", "postgresql://u@h/db"),
        ("postgres://u:p@w@h/db", "postgres://u@h/db"),
        ("postgresql://h/db", "postgresql://h/db"),
        ("postgresql://:pw@h/db", "postgresql://@h/db"),
        ("host=h user=u password=pw dbname=db", "host=h user=u dbname=db"),
        ("host=h password='p w' user=u", "host=h user=u"),
    ],
)
def test_safe_url_keeps_no_secret(url, shown):
    assert safe_url(url).split() == shown.split()
