"""Read LiteLLM_SpendLogs straight from PostgreSQL: read-only, one snapshot, page by page, only what the reader uses.

A row is 22 kB as LiteLLM stores it, most of it logs of guardrails and copies of keys, so paths inside the JSON columns
are projected by the server. Pages follow the key ("startTime", request_id), for which LiteLLM has an index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from excise.errors import BadRow, InputError, UsageError
from excise.ingest.formats.litellm_spendlogs import convert
from excise.ingest.reader import Row

_PLAIN: Final = (
    "request_id", "call_type", "api_key", "prompt_tokens", "completion_tokens", "startTime", "endTime",
    "request_duration_ms", "model", "model_group", "custom_llm_provider", "user", "request_tags", "team_id",
    "organization_id", "end_user", "requester_ip_address", "session_id", "status", "litellm_call_id",
)  # fmt: skip
_NEWER: Final = frozenset(
    {"request_duration_ms", "model_group", "organization_id", "session_id", "status", "litellm_call_id"}
)
"""Columns that older versions of the table lack: read where they are there."""

_METADATA: Final = (
    "litellm_call_id", "user_agent", "requester_ip_address", "user_api_key", "user_api_key_user_id",
    "user_api_key_org_id", "user_api_key_project_id", "usage_object", "error_information", "status",
)  # fmt: skip
_BODY: Final = (
    "messages", "input", "prompt", "system", "instructions", "tools", "functions", "temperature", "top_p", "max_tokens",
    "max_completion_tokens", "max_output_tokens", "n", "reasoning_effort", "reasoning", "output_config", "user",
    "safety_identifier", "litellm_call_id",
)  # fmt: skip
_CALLER: Final = ("headers", "requester_ip_address", "user_id")
_RESPONSE: Final = (
    "id", "object", "type", "model", "choices", "output", "content", "usage", "status", "stop_reason", "stop_details",
    "incomplete_details",
)  # fmt: skip
_PASSWORD: Final = re.compile(
    r"(?<=://)([^/@:\s]*):[^/\s]*@|((?:password|sslpassword)\s*=\s*)('[^']*'|[^&\s]*)", re.IGNORECASE
)
_READ_ONLY: Final = "-c default_transaction_read_only=on"
_PERMISSION, _NO_TABLE = "42501", "42P01"


def safe_url(url: str) -> str:
    """The address without its password and options, fit to be printed and to be put into `run.json`."""
    bare = _PASSWORD.sub(lambda found: f"{found[1]}@" if found[1] is not None else "", url)
    return bare.partition("?")[0]


def read_spend_logs(
    url: str, *, page_rows: int = 5000, table: str = "LiteLLM_SpendLogs", since: datetime | None = None
) -> Iterator[Row | BadRow]:
    """Rows of the table in order of time, from `since` on (naive is UTC), as the litellm-spendlogs reader makes them.

    `table` may be given with its schema, `schema.table`. One snapshot is read, so rows written meanwhile neither shift
    pages nor come twice; memory holds one page. Raises `UsageError` where psycopg is missing or an argument is
    wrong, `InputError` where the server cannot be reached or the table cannot be read. No message holds the password.
    """
    if page_rows < 1:
        raise UsageError(f"page_rows is {page_rows}", subject=safe_url(url), hint="give 1 or more")
    yield from convert(_records(url, page_rows, table, since))


def _records(url: str, page_rows: int, table: str, since: datetime | None) -> Iterator[dict[str, Any]]:
    psycopg = _psycopg(url)
    try:
        with psycopg.connect(url, **_options(url)) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            query = _query(psycopg.sql, table, _columns(connection, table))
            yield from _pages(connection, query, page_rows, since)
    except psycopg.Error as error:
        raise _input_error(error, url, table) from None  # the driver's own text may repeat the address


def _psycopg(url: str) -> Any:
    try:
        import psycopg  # noqa: PLC0415  an extra, and only this source needs it
        import psycopg.sql  # noqa: PLC0415
    except ImportError:
        raise UsageError(
            "reading a database needs psycopg", subject=safe_url(url), hint="pip install 'excise[postgres]'"
        ) from None
    return psycopg


def _options(url: str) -> dict[str, Any]:
    given: dict[str, Any] = {"application_name": "excise"}
    if "connect_timeout" not in url:
        given["connect_timeout"] = 10
    if "options=" not in url:
        given["options"] = _READ_ONLY  # the transaction is read-only too; this holds for every one
    return given


def _columns(connection: Any, table: str) -> tuple[str, ...]:
    """The plain columns that this version of the table has."""
    schema, name = _named(table)
    found = connection.execute(
        "select column_name from information_schema.columns where table_name = %s"
        " and (%s::text is null or table_schema = %s)",
        (name, schema, schema),
    ).fetchall()
    there = {row[0] for row in found}
    return tuple(column for column in _PLAIN if column in there or column not in _NEWER)


def _named(table: str) -> tuple[str | None, str]:
    schema, _, name = table.rpartition(".")
    return schema or None, name


def _query(sql: Any, table: str, columns: tuple[str, ...]) -> Any:
    """The page query. Names are quoted by the driver; the key of the last row seen and the page's size are parameters."""
    caller = {key: _object(sql, f'"proxy_server_request"->\'{key}\'', _CALLER) for key in ("metadata", "litellm_metadata")}  # fmt: skip
    body = _object(sql, '"proxy_server_request"', _BODY, caller)
    shown = [sql.Identifier(column) for column in columns]
    shown += [
        sql.SQL("{} as metadata").format(_object(sql, '"metadata"', _METADATA)),
        sql.SQL("{} as proxy_server_request").format(body),
        sql.SQL("{} as response").format(_object(sql, '"response"', _RESPONSE)),
        sql.SQL("case when jsonb_typeof(messages) = 'array' then messages end as messages"),
    ]
    return sql.SQL(
        'select {} from {} where ("startTime", request_id) > (%s, %s) order by "startTime", request_id limit %s'
    ).format(sql.SQL(", ").join(shown), sql.Identifier(*filter(None, _named(table))))


def _object(sql: Any, source: str, keys: tuple[str, ...], more: dict[str, Any] | None = None) -> Any:
    """These keys of a JSON column as an object; what is no object comes whole, as the reader decodes JSON text too."""
    parts = [
        sql.SQL("{}, {}->{}").format(sql.Literal(key), sql.SQL(source), sql.Literal(key)) for key in keys
    ]
    parts += [sql.SQL("{}, {}").format(sql.Literal(key), value) for key, value in (more or {}).items()]
    return sql.SQL("case jsonb_typeof({0}) when 'object' then jsonb_build_object({1}) else {0} end").format(
        sql.SQL(source), sql.SQL(", ").join(parts)
    )


def _pages(connection: Any, query: Any, page_rows: int, since: datetime | None) -> Iterator[dict[str, Any]]:
    start, last = _naive(since) if since else datetime.min, ""  # noqa: DTZ901  the column is naive UTC
    while True:
        cursor = connection.execute(query, (start, last, page_rows))
        names = [column.name for column in cursor.description]
        page = cursor.fetchall()
        for values in page:
            yield dict(zip(names, values, strict=True))
        if len(page) < page_rows:
            return
        row = dict(zip(names, page[-1], strict=True))
        start, last = row["startTime"], row["request_id"]


def _naive(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def _input_error(error: Any, url: str, table: str) -> InputError:
    """What a user can act on: the kind of failure, never the driver's whole text, in which the address may stand."""
    if error.sqlstate == _NO_TABLE:
        return InputError(
            f"has no table {table}", subject=safe_url(url), hint="is this LiteLLM's database and schema?"
        )
    if error.sqlstate == _PERMISSION:
        hint = f'grant select on "{table}" to this role'
        return InputError(f"may not read {table}", subject=safe_url(url), hint=hint)
    if error.sqlstate is None and type(error).__name__ == "OperationalError":
        host = urlsplit(safe_url(url)).hostname or "the server"
        hint = f"check that {host} is up and that user, password and database are right: psql shows the server's own words"
        return InputError("cannot be reached, or refuses the login", subject=safe_url(url), hint=hint)
    kind = f"fails with {type(error).__name__}, SQLSTATE {error.sqlstate or 'none'}"
    return InputError(
        kind, subject=safe_url(url), hint="LiteLLM 1.106 was tested; export the table as NDJSON instead"
    )
