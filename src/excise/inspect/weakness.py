"""The classes of weakness: one entry a class, one page of docs a class (`docs/inspect/<id>.md`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Weakness:
    """A class: its id, a short title, the CWE numbers that name it (the most fitting first), and what it gives away."""

    id: str
    title: str
    cwe: tuple[int, ...]
    gets: str
    fix: str


WEAKNESSES: Final[tuple[Weakness, ...]] = (
    Weakness(
        "code-execution",
        "Untrusted text is run as code",
        (94, 95),
        "code execution with the rights of the process",
        "parse the value (ast.literal_eval, a typed parser) or run it in an isolated process without secrets",
    ),
    Weakness(
        "command-execution",
        "Untrusted text reaches a command line",
        (78, 88, 77),
        "commands of their choice, or options that change what a fixed command does",
        "give an argument list without a shell, an allow-list of values, and `--` before them",
    ),
    Weakness(
        "unsafe-deserialisation",
        "Untrusted bytes are deserialised by a format that runs code",
        (502,),
        "code execution while the bytes are read",
        "use a format that only holds data (JSON, msgpack, safetensors), a safe loader, or weights_only=True",
    ),
    Weakness(
        "remote-code-trust",
        "Code that comes with a model is trusted",
        (829, 94),
        "code execution when the model is loaded",
        "leave trust_remote_code off, or pin the revision and let the user opt in",
    ),
    Weakness(
        "template-injection",
        "Untrusted text is rendered as a template",
        (1336, 94),
        "expressions evaluated in the process, up to code execution",
        "render with a sandboxed environment, or pass the text as a variable of a fixed template",
    ),
    Weakness(
        "query-injection",
        "Untrusted text becomes part of a query",
        (89, 943),
        "reading, changing or destroying what the database holds",
        "bind parameters; run a model's query with a read-only role, after a check of the statement",
    ),
    Weakness(
        "path-traversal",
        "Untrusted text names a file",
        (22, 73),
        "reading or writing files outside the intended folder",
        "resolve the path and compare it with the resolved folder before it is used",
    ),
    Weakness(
        "archive-extraction",
        "An untrusted archive is unpacked without a check of its names",
        (22,),
        "files written outside the target folder",
        "extract with filter='data', or check each member's resolved path",
    ),
    Weakness(
        "request-forgery",
        "Untrusted text names the address of a request",
        (918,),
        "requests from inside the network: metadata services, local servers, internal hosts",
        "allow listed hosts only, resolve the name and refuse private addresses, do not follow redirects",
    ),
    Weakness(
        "xml-entities",
        "Untrusted XML is parsed with entities",
        (611, 776),
        "local files read and requests sent through entities, memory exhausted",
        "parse with defusedxml, or with entities and network switched off",
    ),
    Weakness(
        "dynamic-dispatch",
        "Untrusted text chooses what is called",
        (470, 913),
        "calls to functions, methods or modules that were never meant to be reachable",
        "look the name up in a literal table of what may be called",
    ),
    Weakness(
        "weak-path-check",
        "A check of a path can be passed by a path that it should stop",
        (22, 184, 20),
        "reading or writing files outside the intended folder",
        "decode and resolve the path, then compare it with the resolved folder",
    ),
    Weakness(
        "deny-listed-code",
        "Code is run after a list of what it may not do, which leaves something out",
        (184, 94, 693),
        "code execution past the list",
        "allow the few kinds of nodes that are needed, or run the code in an isolated process",
    ),
    Weakness(
        "inconsistent-guard",
        "A sibling of this use is guarded, this one is not",
        (20, 862),
        "what the guard keeps from them at the sibling",
        "apply the same guard here",
    ),
    Weakness(
        "coverage",
        "A file could not be analysed",
        (),
        "a place to hide from the inspection",
        "make the file readable to the inspection, or look at it by hand",
    ),
)

BY_ID: Final = {w.id: w for w in WEAKNESSES}
