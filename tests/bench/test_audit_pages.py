"""The audit's benchmarks keep each other's part of their page, and say what a machine lacks."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

import audit_levels
import audit_transformer
from audit_page import write
from excise.audit import prf
from excise.audit.statistic import Contrast


def test_each_program_writes_its_own_part_of_the_page(tmp_path):
    page = tmp_path / "page.md"
    write(page, "## First", ["head"])
    write(page, "### One", ["a"])
    write(page, "### Two", ["b"])
    write(page, "## Second", ["c", "", "### Inside", "", "d"])
    write(page, "### One", ["new"])
    write(page, "## Second", ["e"])
    assert page.read_text() == (
        "# What an audit finds, and whom it accuses wrongly\n\n## First\n\nhead\n\n### One\n\nnew\n\n### Two\n\nb\n\n"
        "## Second\n\ne\n"
    )


def test_a_row_says_whether_p_values_hold(monkeypatch):
    rng = np.random.default_rng(4)
    pairs = rng.integers(1 << 62, size=(300, 3)).astype(np.uint64)
    fair = audit_levels.row("x", "sampled", Contrast(pairs, rng.random(300)), prf.BIT, 5_000)
    assert fair.endswith("| yes |")
    monkeypatch.setattr(audit_levels, "tail_bound", lambda z: 0.02 if z > 0 else 1.0)
    wrong = audit_levels.row("x", "sampled", Contrast(pairs, np.ones(300)), prf.BIT, 5_000)
    assert wrong.endswith("| NO |")


@pytest.mark.parametrize(("sees", "ends"), [(True, False), (False, True)])
def test_a_gpu_is_used_or_said_to_be_missing(monkeypatch, sees, ends):
    fake = types.ModuleType("torch")
    fake.cuda = types.SimpleNamespace(is_available=lambda: sees)
    monkeypatch.setitem(sys.modules, "torch", fake)
    assert audit_transformer.device_of("cpu") == "cpu"
    if ends:
        with pytest.raises(SystemExit, match="sees no GPU"):
            audit_transformer.device_of("cuda")
    else:
        assert audit_transformer.device_of("cuda") == "cuda"


@pytest.mark.parametrize("missing", ["torch", "transformers", "tokenizers"])
def test_without_its_libraries_it_says_what_to_install(monkeypatch, missing):
    for name in ("torch", "transformers", "tokenizers"):
        monkeypatch.setitem(sys.modules, name, None if name == missing else types.ModuleType(name))
    monkeypatch.setattr(sys, "argv", ["audit_transformer.py", "--device", "cuda"])
    with pytest.raises(SystemExit, match="audit-torch"):
        audit_transformer.main()
