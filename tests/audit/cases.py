"""A case of the test-bed, made by the commands as a user would."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
from typing import NamedTuple

import numpy as np
import pytest

from excise.audit import keys as stored
from excise.audit import ngram
from excise.audit.marks.red_green import RED_GREEN
from excise.cli.app import main

PROMPTS = [f"Tell me about {i}." for i in range(240)]
LATER, EARLIER = "2099-01-01T00:00:00Z", "2001-01-01T00:00:00Z"


class Said(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def excise(*words, cwd):
    """The command in this process, so that it is loaded once; its signal handlers are taken away again."""
    out, err, before = (
        io.StringIO(),
        io.StringIO(),
        [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)],
    )
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "argv", ["excise", *map(str, words)])
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        finally:
            for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
                signal.signal(number, handler)
    return Said(status, out.getvalue(), err.getvalue())


def done(*words, cwd):
    said = excise(*words, cwd=cwd)
    assert said.returncode == 0, said.stderr
    return said


def write_answers(path, chain, rng, *, at=LATER, prompts=PROMPTS):
    texts = ngram.texts_of(ngram.spoken(chain, len(prompts), rng))
    rows = [{"prompt": p, "answer": a, "at": at} for p, a in zip(prompts, texts, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return texts


def material(folder):
    """A key file, prompts, a reference, a control, and recorded answers of a student and of an innocent model."""
    rng = np.random.default_rng(61)
    held = stored.create(folder / "master.key")
    world = ngram.world(rng)
    teacher = ngram.marked(world.teacher, RED_GREEN, held.key(stored.parse_name("red-green:k7@1")))
    (folder / "prompts.txt").write_text("\n".join(PROMPTS))
    write_answers(folder / "reference.ndjson", world.base, rng)
    write_answers(folder / "organic.ndjson", ngram.student(world, 0.0, teacher, rng), rng)
    write_answers(folder / "student.ndjson", ngram.student(world, 0.5, teacher, rng), rng)
    write_answers(folder / "innocent.ndjson", ngram.student(world, 1.0, world.teacher, rng), rng)


PLAN = (
    "audit", "plan", "--keys", "master.key", "--key", "red-green:k7", "--key", "red-green:k8",
    "--suspect", "student", "--suspect", "innocent", "--prompts", "prompts.txt", "--reference", "reference.ndjson",
    "--control", "organic=organic.ndjson", "--looks", "100,240", "--worlds", "0", "--decoys", "1000",
    "--authorisation", "terms of service, section 4", "--out",
)  # fmt: skip
