"""The run folder on disk: written whole or not at all, and read back as if a stranger had made it.

See `docs/run-folder.md` for every file and field.
"""

from __future__ import annotations

import stat
from datetime import date
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from excise.errors import InputError, OutputError
from excise.model.findings import Campaign, Graph, Timeline
from excise.model.run import Run
from excise.model.schema import ACCOUNTS_OUT, HARVEST_OUT
from excise.report import canonical, html, staging
from excise.report.info import typed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RUN_JSON: Final = "run.json"
CAMPAIGNS_JSON: Final = "campaigns.json"
ACCOUNTS_PARQUET: Final = "accounts.parquet"
HARVEST_PARQUET: Final = "harvest.parquet"
REPORT_HTML: Final = "report.html"
FILES: Final = (RUN_JSON, CAMPAIGNS_JSON, ACCOUNTS_PARQUET, HARVEST_PARQUET, REPORT_HTML)

ROW_GROUP: Final = 131_072
"""Rows a row group: fixed, for the same bytes every time."""
SCORE_DECIMALS: Final = 9
JSON_LIMIT: Final = 256 << 20
"""Bytes of JSON that are read at most: a folder from elsewhere must not fill the memory."""
DAYS_LIMIT: Final = 20_000
"""Days of a timeline that are read at most, half a century."""

T = TypeVar("T")


def check_writable(out: Path, *, replace: bool = False) -> None:
    """Raise `OutputError` now where `write` would raise it after a long scan. Leaves nothing behind."""
    _refuse_occupied(out, replace)
    staging.rehearse(out)


def write(run: Run, out: Path, *, replace: bool = False) -> None:
    """Write `run` as folder `out`, which appears complete or not at all. The tables are sorted by their ids.

    With `replace` an earlier run of that name is swapped for this one; a folder that holds anything else is refused.
    Raises `OutputError` (a full disk, no permission, an occupied folder) and leaves nothing; `ValueError` for a run
    with a number that JSON cannot hold.
    """
    _refuse_occupied(out, replace)
    info, campaigns = canonical.document(run.info), canonical.lines(run.campaigns)
    ready = _settled(run, info, campaigns)
    with staging.staged_folder(out, replace=replace) as folder:
        staging.write_file(folder / RUN_JSON, info)
        staging.write_file(folder / CAMPAIGNS_JSON, campaigns)
        _write_table(ready.accounts, folder / ACCOUNTS_PARQUET)
        _write_table(ready.harvest, folder / HARVEST_PARQUET)
        staging.write_file(folder / REPORT_HTML, html.render(ready).encode())


def settled(run: Run) -> Run:
    """`run` as `read` gives it back: tables in the contract's schema, sorted by id, numbers rounded."""
    return _settled(run, canonical.document(run.info), canonical.lines(run.campaigns))


def _settled(run: Run, info: bytes, campaigns: bytes) -> Run:
    return Run(
        info=msgspec.json.decode(info),
        campaigns=msgspec.json.decode(campaigns, type=tuple[Campaign, ...]),
        accounts=_settle(run.accounts, ACCOUNTS_OUT, "account_id"),
        harvest=_settle(run.harvest, HARVEST_OUT, "exchange_id"),
    )


def read(path: Path) -> Run:
    """The run in folder `path`. Raises `InputError` for whatever is missing, broken or does not hang together."""
    if not path.is_dir():
        raise InputError(
            "no such run folder", subject=str(path), hint="name the folder that excise scan wrote with --out"
        )
    info = _read_json(path / RUN_JSON, dict)
    campaigns = _read_json(path / CAMPAIGNS_JSON, tuple[Campaign, ...])
    try:
        typed(info)
        check_campaigns(campaigns)
    except (ValueError, msgspec.ValidationError) as error:
        raise _broken(path, str(error)) from error
    accounts = _read_table(path / ACCOUNTS_PARQUET, ACCOUNTS_OUT)
    harvest = _read_table(path / HARVEST_PARQUET, HARVEST_OUT)
    _check_table(
        path / ACCOUNTS_PARQUET,
        accounts,
        ("account_id", "exchanges", "score", "harvest_exchanges", "reasons"),
    )
    _check_table(path / HARVEST_PARQUET, harvest, HARVEST_OUT.names)
    if pc.list_flatten(accounts["reasons"]).null_count:
        raise _broken(path / ACCOUNTS_PARQUET, "an empty reason")
    return Run(info=info, campaigns=campaigns, accounts=accounts, harvest=harvest)


def _refuse_occupied(out: Path, replace: bool) -> None:
    """A name that is taken is refused; with `replace` only a run folder and nothing but a run folder may go."""
    try:
        if not out.exists():
            return
        if not out.is_dir():
            raise OutputError(
                "exists and is not a folder", subject=str(out), hint="choose another name with --out"
            )
        inside = sorted(entry.name for entry in out.iterdir())
    except OSError as error:
        raise staging.cannot_write(out, error) from error
    if inside and not replace:
        hint = "choose another folder with --out, or replace it with --force"
        raise OutputError("exists and is not empty", subject=str(out), hint=hint)
    foreign = [name for name in inside if name not in FILES]
    if foreign:
        hint = f"move {foreign[0]!r} away first, or choose another folder with --out"
        raise OutputError("holds more than a run, and would be deleted", subject=str(out), hint=hint)


def _settle(table: pa.Table, schema: pa.Schema, key: str) -> pa.Table:
    ready = table.select(schema.names).cast(schema).sort_by([(key, "ascending")])
    place = schema.get_field_index("score")
    scores = pc.round(ready.column(place), ndigits=SCORE_DECIMALS)
    return ready.set_column(place, schema.field(place), scores).combine_chunks()


def _write_table(table: pa.Table, path: Path) -> None:
    with path.open("xb") as file:
        pq.write_table(
            table,
            file,
            row_group_size=ROW_GROUP,
            compression="zstd",
            compression_level=3,
            version="2.6",
            data_page_version="1.0",
            write_statistics=True,
            write_page_index=False,
        )
    staging.sync(path)


def _broken(path: Path, why: str) -> InputError:
    return InputError(
        f"not a sound run: {why}", subject=str(path), hint="scan again, or fetch the folder again whole"
    )


def _regular(path: Path) -> int:
    """The size of a plain file in bytes; a pipe or a device would block or never end."""
    try:
        found = path.stat()
    except OSError as error:
        raise _broken(path, (error.strerror or str(error)).lower()) from error
    if not stat.S_ISREG(found.st_mode):
        raise _broken(path, "not a plain file")
    return found.st_size


def _read_json(path: Path, kind: type[T]) -> T:
    if _regular(path) > JSON_LIMIT:
        raise _broken(path, f"larger than {JSON_LIMIT >> 20} MiB")
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _broken(path, str(error)) from error
    except OSError as error:
        raise _broken(path, (error.strerror or str(error)).lower()) from error


def _read_table(path: Path, schema: pa.Schema) -> pa.Table:
    _regular(path)
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(columns=schema.names).select(schema.names).cast(schema)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
        raise _broken(path, str(error).splitlines()[0] if str(error) else "unreadable") from error
    return table


def _check_table(path: Path, table: pa.Table, filled: Sequence[str]) -> None:
    """The columns `filled` hold a value in every row, and scores are 0 to 1. Raises `InputError`."""
    for name in filled:
        if table[name].null_count:
            raise _broken(path, f"column {name} has empty cells")
    good = pc.and_(pc.greater_equal(table["score"], 0.0), pc.less_equal(table["score"], 1.0))
    if not pc.all(good, min_count=0).as_py():
        raise _broken(path, "a score outside 0 to 1")


def check_campaigns(campaigns: Sequence[Campaign]) -> None:
    """What the types cannot say. Raises `ValueError`."""
    if len({c.campaign_id for c in campaigns}) != len(campaigns):
        raise ValueError("two campaigns share an id")
    for campaign in campaigns:
        who = f"campaign {campaign.campaign_id!r}"
        if not (0 <= campaign.confidence <= 1 and 0 <= campaign.q_value <= 1):
            raise ValueError(f"{who} has a confidence or q-value outside 0 to 1")
        if min(campaign.accounts, campaign.exchanges, campaign.harvest_exchanges) < 0:
            raise ValueError(f"{who} counts below zero")
        if campaign.timeline is not None:
            _check_timeline(campaign.timeline, who)
        if campaign.graph is not None:
            _check_graph(campaign.graph, who)


def _check_timeline(timeline: Timeline, who: str) -> None:
    days = len(timeline.exchanges)
    if not days == len(timeline.harvest) == len(timeline.active_accounts) or days > DAYS_LIMIT:
        raise ValueError(f"the timeline of {who} has series of different or unreasonable length")
    if date.fromisoformat(timeline.first_day).year + days // 365 >= date.max.year:
        raise ValueError(f"the timeline of {who} runs past the calendar")
    if min((*timeline.exchanges, *timeline.harvest, *timeline.active_accounts), default=0) < 0:
        raise ValueError(f"the timeline of {who} counts below zero")


def _check_graph(graph: Graph, who: str) -> None:
    top = len(graph.accounts)
    if any(not (0 <= link.a < top and 0 <= link.b < top) for link in graph.links):
        raise ValueError(f"the graph of {who} links an account that it does not list")
