"""The artifacts as one analyser: which names it wants, and which reader speaks for the bytes."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from typing import Final

from excise.inspect.analyser import per_file
from excise.inspect.artifacts import pickles
from excise.inspect.artifacts.containers import (
    Broken,
    Member,
    decompressed,
    escapes,
    local_members,
    tar_members,
    zip_members,
)
from excise.inspect.artifacts.gguf import check_gguf
from excise.inspect.artifacts.keras import check_hdf5, check_json
from excise.inspect.artifacts.onnx import check_onnx
from excise.inspect.artifacts.safetensors import check_safetensors
from excise.inspect.artifacts.said import Said, broken, finding, of_pickles
from excise.inspect.artifacts.templates import check as check_template
from excise.inspect.finding import Finding, Severity
from excise.inspect.tree import Source

MOST_BYTES = 64_000_000
"""Bytes of an artifact that are read; of a larger one the head, which holds what the formats say first."""
PICKLES: Final = (
    ".pkl",
    ".pickle",
    ".pck",
    ".pcl",
    ".p",
    ".dill",
    ".cloudpickle",
    ".joblib",
    ".jbl",
    ".sav",
    ".pt",
    ".pth",
    ".ckpt",
    ".pt2",
    ".bin",
    ".mar",
)
_OTHERS: Final = (".npy", ".npz", ".keras", ".h5", ".hdf5", ".onnx", ".gguf", ".safetensors", ".pb")
_TEMPLATES: Final = (
    "chat_template.jinja",
    "chat_template.json",
    "tokenizer_config.json",
    "processor_config.json",
)
_OPS: Final = re.compile(
    rb"\x12(?:\x09WriteFile|\x08ReadFile|\x06PyFunc|\x0bEagerPyFunc|\x0fPyFuncStateless)"
)
_WANTED_INSIDE: Final = re.compile(
    r"(?:^|/)(?:[^/]*\.(?:pkl|pickle|npy|joblib|bin)|config\.json|pickle|data|version)$"
)


def wants(path: str) -> bool:
    """Whether the name is that of an artifact, or of a file that holds a model's template."""
    low = path.lower()
    return low.endswith((*PICKLES, *_OTHERS)) or low.rpartition("/")[2] in _TEMPLATES


def say(source: Source) -> Iterator[Said]:
    """What is to be said of an artifact, by its name and first bytes."""
    data, low = source.data, source.name.lower()
    by_name = next((check for end, check in _BY_NAME if low.endswith(end)), None)
    if low in _TEMPLATES:
        yield from _templates(source)
    elif by_name is not None:
        yield from by_name(data, source.size)
    elif data:
        yield from _bytes(data, source.size, low, 0)


def _bytes(data: bytes, size: int, name: str, level: int) -> Iterator[Said]:
    """Bytes by what they begin with."""
    if data.startswith(b"PK\x03\x04"):
        yield from _zip(data, size)
    elif data.startswith(b"\x93NUMPY"):
        yield from _numpy(data)
    elif data.startswith(b"\x89HDF\r\n\x1a\n"):
        yield from check_hdf5(data, size)
    elif data[257:262] == b"ustar":
        yield from _members(tar_members(data, _wanted), level)
    elif data.startswith(b"7z\xbc\xaf\x27\x1c"):
        yield broken("a 7z archive, which no loader of models needs", Severity.MEDIUM)
    elif level == 0 and (unpacked := decompressed(data)) is not None:
        content, whole = unpacked
        yield from _bytes(content, len(content), name, 1)
        if not whole:
            yield broken("a compressed stream that was not read to its end", Severity.MEDIUM)
    else:
        yield from _pickled(data, size, name)


_GENERIC: Final = (".pth", ".bin", ".mar", ".sav", ".p", ".pb")
"""Ends of names that mean many things: bytes that are no pickle say nothing there."""


def _pickled(data: bytes, size: int, name: str) -> Iterator[Said]:
    seen = pickles.walk(data)
    if seen.ended and size > len(data):
        seen.ended = f"only the first {len(data):,} of {size:,} bytes were read"
    if seen.pickles or seen.uses or seen.unknown:
        yield from of_pickles(seen)
    elif not name.endswith(_GENERIC):
        yield broken("neither a pickle nor a container that is known")


def _wanted(name: str) -> bool:
    return bool(_WANTED_INSIDE.search(name))


def _zip(data: bytes, size: int) -> Iterator[Said]:
    if size > len(data):
        yield from _members(local_members(data, _wanted), 0)
        yield broken(f"only the first {len(data):,} of {size:,} bytes were read")
        return
    yield from _members(zip_members(data, _wanted), 0)


def _members(members: Iterator[Member], level: int) -> Iterator[Said]:
    try:
        for member in members:
            yield from _member(member)
    except Broken as error:
        yield broken(str(error), Severity.MEDIUM)


def _member(member: Member) -> Iterator[Said]:
    name = member.name[-80:]
    if escapes(member.name):
        yield Said(
            "artifact-path",
            Severity.HIGH,
            f"a member is named {name!r}, outside the folder it is unpacked into",
        )
    if member.why:
        yield broken(f"{name}: {member.why}", Severity.MEDIUM)
    data = member.data
    if not data:
        return
    if name.endswith("config.json"):
        yield from check_json(data)
    elif data.startswith(b"\x93NUMPY"):
        yield from _numpy(data, name)
    elif re.match(rb"\x80[\x00-\x05]", data[:2]) or name.endswith((".pkl", ".pickle", ".joblib")):
        yield from of_pickles(pickles.walk(data), name)


def _numpy(data: bytes, where: str = "") -> Iterator[Said]:
    """The head of an array; an array of objects is a pickle."""
    width = 2 if data[6:7] == b"\x01" else 4
    length = int.from_bytes(data[8 : 8 + width], "little")
    head = data[8 + width : 8 + width + length]
    if len(head) < length or length > 65_536:
        yield broken(f"an array whose head has {length:,} bytes", Severity.MEDIUM)
        return
    try:
        written = re.sub(r"(?<=\d)L(?=[,)\s])", "", head.decode("latin-1"))  # as Python 2 wrote numbers
        described = ast.literal_eval(written.strip())
        objects = _holds_objects(described["descr"])
    except (ValueError, SyntaxError, RecursionError, MemoryError, KeyError, TypeError):
        yield broken("an array whose head cannot be read", Severity.MEDIUM)
        return
    if objects:
        yield from of_pickles(pickles.walk(data, 8 + width + length), where or "an array of objects")


def _holds_objects(kind: object) -> bool:
    """Whether a description of a type, plain or of fields, holds Python objects."""
    if isinstance(kind, list | tuple):
        return any(_holds_objects(field[1]) for field in kind if isinstance(field, tuple) and len(field) > 1)
    return isinstance(kind, str) and kind.lstrip("|<>=").startswith("O")


def _templates(source: Source) -> Iterator[Said]:
    if source.name.endswith(".jinja"):
        yield from check_template(source.text)
        return
    try:
        top = json.loads(source.text)
    except (ValueError, RecursionError) as error:
        yield broken(f"no JSON ({type(error).__name__})")
        return
    found = top.get("chat_template") if isinstance(top, dict) else None
    several = found if isinstance(found, list) else [{"template": found}]
    for entry in several:
        text = entry.get("template") if isinstance(entry, dict) else None
        if isinstance(text, str):
            yield from check_template(text)


def _saved_model(data: bytes, size: int) -> Iterator[Said]:
    found = _OPS.search(data)
    if found:
        yield Said(
            "artifact-code",
            Severity.HIGH,
            f"the graph has an operator {found.group()[2:].decode()}, which reaches files or Python",
        )


_BY_NAME: Final[tuple[tuple[str, Callable[[bytes, int], Iterator[Said]]], ...]] = (
    (".onnx", check_onnx),
    (".gguf", check_gguf),
    (".safetensors", check_safetensors),
    (".pb", _saved_model),
)


def _find(source: Source) -> Iterator[Finding]:
    for said in say(source):
        yield finding(source, said)


ARTIFACTS = per_file(
    "artifacts",
    ("artifact-code", "artifact-path", "artifact-structure", "artifact-template"),
    wants,
    _find,
    most_bytes=MOST_BYTES,
    head=True,
)
