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
        "runs-on-open",
        "A file of the repository runs when it is opened, installed or tested",
        (829, 94),
        "commands with the rights of whoever opens the repository, or of the agent that does",
        "remove it, or read the command and approve that one alone; open strange repositories in a container without secrets",
    ),
    Weakness(
        "secret-exfiltration",
        "A file of the repository sends secrets away",
        (200, 522, 829),
        "keys, tokens or files of whoever opens the repository",
        "remove it; if it ran, revoke every key that was within reach",
    ),
    Weakness(
        "hidden-text",
        "Text that a program reads and a person does not see",
        (1007, 451, 74),
        "instructions to an agent, or code other than the one that was reviewed",
        "remove the characters or the passage; show invisible characters in reviews",
    ),
    Weakness(
        "agent-orders",
        "Instructions set an agent against its user",
        (74, 1427),
        "actions of the agent that its user did not ask for and is not told of",
        "remove the order; instructions say how to work, never what to conceal",
    ),
    Weakness(
        "lowered-approval",
        "The repository approves its own actions",
        (862, 276),
        "actions of an agent or an editor without the question that would have stopped them",
        "leave approvals to the user's own settings; allow single commands by name",
    ),
    Weakness(
        "unpinned-code",
        "Code is fetched from a place or version that can change",
        (494, 829),
        "whatever code stands there on the day",
        "pin an exact version or a hash, over an encrypted connection",
    ),
    Weakness(
        "ci-prompt-injection",
        "Strangers' text reaches an agent in CI",
        (74, 1427, 269),
        "what the agent's step holds: secrets, a token that writes, the next release",
        "let only members start it, give the step read-only permissions and no secret, and act on its answer in another job",
    ),
    Weakness(
        "ci-script-injection",
        "Strangers' text or a model's answer becomes part of a script in CI",
        (78, 94),
        "commands on the runner with the job's secrets and token",
        "pass the value by an environment variable and quote it",
    ),
    Weakness(
        "escaping-link",
        "A name of the tree leads somewhere else",
        (59, 61, 178),
        "reads and writes of an agent or a build land outside the folder",
        "remove the link or copy the file; give files names that differ in more than case",
    ),
    Weakness(
        "artifact-code",
        "A model or data file runs code when it is loaded",
        (502, 94),
        "code execution while the file is loaded",
        "load weights from safetensors, or with weights_only=True; take the file from its author and compare its hash",
    ),
    Weakness(
        "artifact-path",
        "A model or data file names files outside its folder",
        (22, 73),
        "files read, or overwritten, outside the folder of the model",
        "refuse absolute names and `..`; remove the reference from the file",
    ),
    Weakness(
        "artifact-template",
        "A chat template does more than set messages out",
        (1336, 94, 74),
        "code execution in the server that renders it, or words put into every conversation",
        "render templates in a sandbox, and with a template of your own",
    ),
    Weakness(
        "artifact-structure",
        "A model or data file is not what its name says",
        (436, 1286),
        "a place to hide from inspections: loaders run what stands before the damage",
        "make the file anew from its source, or remove it",
    ),
    Weakness(
        "open-local-server",
        "A server asks nobody who they are",
        (306, 346, 350, 1385, 942),
        "whatever its handlers do, with the rights of the user who runs it",
        "ask for a token made at start, compare Host and Origin with what is expected, and bind 127.0.0.1",
    ),
    Weakness(
        "fail-open",
        "A check that fails counts as passed",
        (636, 755, 703),
        "what the check was to prevent, for whoever can make it fail",
        "let the exception end the action, or answer no in the handler",
    ),
    Weakness(
        "readable-secrets",
        "A secret lies where everybody on the machine can read it",
        (732, 276, 522),
        "the secret",
        "create the file with mode 600 (os.open with that mode, or chmod before the first byte), or use the system's store of keys",
    ),
    Weakness(
        "agent-capabilities",
        "An agent's tools take in untrusted text, read private data and have a way out",
        (1427, 200, 250),
        "private data, sent away by the agent on the word of a text that it read",
        "give no agent all three at once: split the tools, ask a person before the way out, or limit where it leads",
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
