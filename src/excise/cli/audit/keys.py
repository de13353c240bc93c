"""`excise audit keys`: the master key and what is derived from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def keys(
    file: Annotated[Path, typer.Argument(metavar="KEYFILE", help="The key file; made where there is none.")],
    serve: Annotated[
        str | None,
        typer.Option(metavar="PURPOSE:CLUSTER", help="Derive this key of the current epoch for a gateway."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file for the derived key, mode 0600.")
    ] = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="Begin the next epoch.")] = False,
    burn: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Never serve this key again. May be repeated.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the state as JSON; no secret is in it.")
    ] = False,
) -> None:
    """Make or look at the master key, begin an epoch, burn a key, or derive one to serve with."""
    from excise.audit import keys as stored
    from excise.cli.terminal import result, result_json, say
    from excise.errors import UsageError

    if (serve is None) != (out is None):
        raise UsageError(
            "belong together", subject="--serve and --out", hint="--serve gumbel:all --out gateway.key"
        )
    held = stored.load(file) if file.exists() or file.is_symlink() else stored.create(file)
    changed = held.rotated() if rotate else held
    changed = changed.with_burned(tuple(stored.parse_name(name, changed.epoch) for name in burn or ()))
    if changed != held:
        stored.save(file, changed)
    if serve is not None and out is not None:
        name = stored.parse_name(serve, changed.epoch)
        stored.write_secret(out, {"name": str(name), "key": changed.served(name).hex()})
        say(f"{name} written to {out}, commitment {changed.commitment(name)}")
    state = {"epoch": changed.epoch, "burned": list(changed.burned)}
    if as_json:
        result_json(state)
    else:
        result(f"epoch {changed.epoch}; burned: {', '.join(changed.burned) or 'none'}")
