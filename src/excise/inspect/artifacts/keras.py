"""Keras: layers and modules that a configuration names, in a zip's `config.json` or inside an HDF5 file.

An HDF5 file is not parsed: the configuration is an attribute, stored as one run of JSON, and is looked for as such. So
a file whose configuration is not found that way is said not to have been looked at.
Sources: Keras 3 serialization (`module`, `class_name`, `registered_name`); CVE-2024-3660 and CVE-2025-1550.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from excise.inspect.artifacts.danger import dangerous_module
from excise.inspect.artifacts.said import Said, broken
from excise.inspect.finding import Severity

MOST_CONFIGURATIONS = 50
MOST_VALUES = 500_000
_START: Final = re.compile(rb'\{"(?:class_name|module|name|layers|config)":')
_OWN: Final = (
    "keras",
    "tf_keras",
    "tensorflow.python.keras",
    "tensorflow.keras",
    "keras_nlp",
    "keras_hub",
    "keras_cv",
    "builtins",
)
_CODE: Final = frozenset({"Lambda", "__lambda__", "PyFunc", "EagerPyFunc"})


def check_configuration(value: Any) -> Iterator[Said]:
    """What a configuration names, that loading it would run."""
    code, foreign = "", ""
    stack, seen = [value], 0
    while stack and seen < MOST_VALUES:
        here = stack.pop()
        seen += 1
        if isinstance(here, list):
            stack += here
        if not isinstance(here, dict):
            continue
        stack += here.values()
        name, module = here.get("class_name"), here.get("module")
        if isinstance(module, str) and (dangerous_module(module) and module != "builtins"):
            yield Said(
                "artifact-code",
                Severity.CRITICAL,
                f"loading it imports {module[:60]} and calls {str(here.get('config') or name)[:60]}",
            )
            return
        if name in _CODE:
            code = str(name)
        elif isinstance(module, str) and not module.startswith(_OWN):
            foreign = f"{module[:60]}.{str(name)[:60]}"
    if code:
        yield Said(
            "artifact-code",
            Severity.HIGH,
            f"a layer {code.strip('_')} holds byte code that runs with the model",
        )
    elif foreign:
        yield Said("artifact-code", Severity.LOW, f"loading it imports {foreign}", "medium")


def check_json(data: bytes) -> Iterator[Said]:
    """The `config.json` of a Keras zip."""
    try:
        yield from check_configuration(json.loads(data))
    except (ValueError, RecursionError) as error:
        yield broken(f"its configuration is no JSON ({type(error).__name__})", Severity.MEDIUM)


def check_hdf5(data: bytes, size: int) -> Iterator[Said]:
    """The configurations that stand in an HDF5 file."""
    at, found = 0, 0
    decoder = json.JSONDecoder()
    while found < MOST_CONFIGURATIONS and (start := _START.search(data, at)):
        text = data[start.start() : start.start() + 20_000_000].split(b"\0", 1)[0].decode("utf-8", "replace")
        found += 1
        try:
            value, length = decoder.raw_decode(text)
        except (ValueError, RecursionError):
            at = start.end()
            continue
        at = start.start() + len(text[:length].encode("utf-8", "replace"))
        yield from check_configuration(value)
    if b"model_config" in data and not found:
        yield broken("a configuration that could not be found", Severity.LOW)
    elif size > len(data):
        yield broken(f"only the first {len(data):,} of {size:,} bytes were read")
