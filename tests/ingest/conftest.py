from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from excise.ingest.source import open_traffic
from excise.model.schema import EXCHANGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from excise.ingest.traffic import Traffic

START = datetime(2026, 3, 1, tzinfo=UTC)


def exchange(number: int, **more: Any) -> dict[str, Any]:
    """One sound exchange; keyword arguments replace its values, `None` takes one out."""
    row = {
        "exchange_id": f"x{number}",
        "started_at": START + timedelta(seconds=number),
        "account_id": f"a{number % 7}",
        "model": "m-1",
        "user_text": f"question {number}",
        "replayed_blocks": [f"b{number}"],
        "tokens_in": number,
        "temperature": 0.5,
    }
    return {name: value for name, value in {**row, **more}.items() if value is not None}


def write_parquet(path: Path, rows: list[dict[str, Any]], **how: Any) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, EXCHANGES), path, **how)
    return path


def whole(traffic: Traffic, **how: Any) -> pa.Table:
    return pa.Table.from_batches(traffic.batches(**how), schema=EXCHANGES)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Traffic]:
    """Opens a source with a fresh staging folder; bad rows are all allowed unless said."""

    def open_(source: Path | str, **options: Any) -> Traffic:
        staging = tmp_path / f"staging-{len(list(tmp_path.iterdir()))}"
        staging.mkdir()
        return open_traffic(str(source), staging=staging, **{"max_bad_rows": 1.0, **options})

    return open_


@pytest.fixture
def tiny_world() -> Path:
    """The smallest labelled world, where the checkout has one."""
    world = Path(__file__).parents[3] / "shared" / "worlds" / "dev-tiny"
    if not world.is_dir():
        pytest.skip("no labelled world beside this checkout")
    return world
