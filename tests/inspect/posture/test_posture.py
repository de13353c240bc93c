"""Posture: each class on code that has it, on its mended form, and on what only looks like it."""

from __future__ import annotations

import textwrap
import xml.etree.ElementTree as ET

import pytest

from excise.inspect.analyser import Tree
from excise.inspect.finding import Coverage, Report, Severity
from excise.inspect.outputs import html, text
from excise.inspect.posture import graph
from excise.inspect.posture.registry import POSTURE
from excise.inspect.proof import Sheet, proves
from excise.inspect.tree import Source

DENY = """
import ast
BAD = {names}

def validate_code(code):
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            raise ValueError
        if isinstance(node, ast.Name) and node.id in BAD:
            raise ValueError
        {attributes}

def run(code):
    validate_code(code)
    exec(code)
"""
SERVER = """
import subprocess
import uvicorn
from fastapi import FastAPI{imports}
app = FastAPI()

@app.post("/run")
def run(command: list[str]{auth}):
    return subprocess.run(command)

def main():
    uvicorn.run(app, host="{host}")
"""
CHECK = """
def handle(request):
    try:
        verify_signature(request)
    except {kind}:
        {then}
    return act(request)
"""
TOOLS = """
import requests
from mcp.server.fastmcp import FastMCP
mcp = FastMCP("x")

@mcp.tool()
def browse(url: str) -> str:
    return requests.get({address}).text

@mcp.tool()
def note(name: str) -> str:
    return _load(name)

def _load(name):
    {read}
"""
SAVE = """
import os

def save_token(token, folder):
    path = os.path.join(folder, "token.json")
    with open(folder + "/token.json", "w") as file:
        file.write(token)
    {after}
"""

FOUND = {
    "attributes-are-left-open": (
        "deny-listed-code",
        DENY.format(names=["exec", "eval", "open"], attributes="pass"),
        Severity.HIGH,
    ),
    "words-in-a-text": (
        "deny-listed-code",
        "FORBIDDEN = ['import os', 'subprocess', 'eval', 'exec']\ndef is_safe_code(code):\n    for word in FORBIDDEN:\n        if word in code:\n            return False\n    return True\ndef go(code):\n    if is_safe_code(code):\n        exec(code)\n",
        Severity.HIGH,
    ),
    "open-to-the-network": (
        "open-local-server",
        SERVER.format(imports="", auth="", host="0.0.0.0"),
        Severity.HIGH,
    ),
    "open-to-the-browser": (
        "open-local-server",
        SERVER.format(imports="", auth="", host="127.0.0.1"),
        Severity.HIGH,
    ),
    "websocket": (
        "open-local-server",
        "import websockets\nasync def main():\n    async with websockets.serve(handle, 'localhost', 8765):\n        pass\n",
        Severity.MEDIUM,
    ),
    "cors-with-credentials": (
        "open-local-server",
        "from fastapi import FastAPI\napp = FastAPI()\napp.add_middleware(C, allow_origins=['*'], allow_credentials=True)\n",
        Severity.MEDIUM,
    ),
    "handler-class": (
        "open-local-server",
        "import os\nfrom http.server import BaseHTTPRequestHandler, HTTPServer\nclass H(BaseHTTPRequestHandler):\n    def do_POST(self):\n        os.system(self.path)\ndef main():\n    HTTPServer(('127.0.0.1', 80), H).serve_forever()\n",
        Severity.HIGH,
    ),
    "passed-over": ("fail-open", CHECK.format(kind="Exception", then="pass"), Severity.MEDIUM),
    "logged-and-passed-over": (
        "fail-open",
        CHECK.format(kind="Exception as error", then="logger.warning(error)"),
        Severity.MEDIUM,
    ),
    "yes-when-it-cannot-look": (
        "fail-open",
        "def is_safe_path(path):\n    try:\n        return inside(path)\n    except Exception:\n        return True\n",
        Severity.MEDIUM,
    ),
    "mode-for-everybody": (
        "readable-secrets",
        "import os\ndef save(token_path):\n    os.chmod(token_path, 0o644)\n",
        Severity.MEDIUM,
    ),
    "rights-by-default": ("readable-secrets", SAVE.format(after="pass"), Severity.LOW),
    "three-sides": (
        "agent-capabilities",
        TOOLS.format(address="url", read="return open(name).read()"),
        Severity.MEDIUM,
    ),
}
NOT_FOUND = {
    "every-way-is-closed": DENY.format(
        names=["exec", "eval", "open"],
        attributes="if isinstance(node, ast.Attribute) and node.attr.startswith('_'):\n            raise ValueError",
    ),
    "names-that-are-allowed": "ALLOWED = {'a', 'b'}\ndef validate_code_name(code):\n    if code not in ALLOWED:\n        raise ValueError\n    exec(TABLE[code])\n",
    "no-code-runs": DENY.format(names=["exec", "eval", "open"], attributes="pass").replace(
        "exec(code)", "print(code)"
    ),
    "asks-for-a-token": SERVER.format(
        imports=", Depends\nfrom fastapi.security import HTTPBearer",
        auth=", token=Depends(HTTPBearer())",
        host="0.0.0.0",
    ),
    "looks-at-the-host": SERVER.format(
        imports="\nfrom starlette.middleware.trustedhost import TrustedHostMiddleware",
        auth="",
        host="127.0.0.1",
    ),
    "handlers-that-only-answer": SERVER.format(imports="", auth="", host="127.0.0.1").replace(
        "subprocess.run(command)", "len(command)"
    ),
    "websocket-with-origins": "import websockets\nasync def main():\n    async with websockets.serve(handle, 'localhost', 8765, origins=['http://localhost']):\n        pass\n",
    "raises-again": CHECK.format(kind="Exception", then="raise"),
    "answers-no": CHECK.format(kind="Exception", then="return None"),
    "one-kind-of-error": CHECK.format(kind="KeyError", then="pass"),
    "no-when-it-cannot-look": "def is_safe_path(path):\n    try:\n        return inside(path)\n    except Exception:\n        return False\n",
    "a-probe-is-no-check": "def is_available():\n    try:\n        import x\n        return False\n    except Exception:\n        return True\n",
    "mode-for-the-owner": "import os\ndef save(token_path):\n    os.chmod(token_path, 0o600)\n",
    "closed-after": SAVE.format(after="os.chmod(path, 0o600)"),
    "tokenizer": "def save(tokenizer, folder):\n    tokens = 1\n    with open(folder + '/tokenizer.json', 'w') as file:\n        file.write('x')\n",
    "two-sides": TOOLS.format(address="'https://example.com/'", read="return name"),
}


def found(files, analysers=POSTURE):
    sources = [
        Source(path, textwrap.dedent(text).encode(), mode=0o644, size=len(text))
        for path, text in files.items()
    ]
    said = []
    for analyser in analysers:
        notes = {
            s.path: note for s in sources if analyser.wants(s.path) and (note := analyser.read(s)) is not None
        }
        said += analyser.conclude(Tree((), notes))
    sheets = {s.path: Sheet(s) for s in sources}
    for finding in said:
        assert proves(finding, sheets.get), finding
        assert all(step.text for step in finding.steps)
    return said


@pytest.mark.parametrize("name", FOUND)
def test_it_is_found_and_can_be_found_again(name):
    weakness, text, severity = FOUND[name]
    (finding,) = found({"a/b.py": text})
    assert (finding.weakness, finding.severity) == (weakness, severity)


@pytest.mark.parametrize("name", NOT_FOUND)
def test_the_mended_form_is_let_be(name):
    assert found({"a/b.py": NOT_FOUND[name]}) == []


def test_the_way_that_is_left_open_is_named():
    (finding,) = found({"a.py": FOUND["attributes-are-left-open"][1]})
    assert "__class__" in finding.title
    assert finding.symbol == "validate_code"
    assert [s.rule for s in finding.steps] == ["guard", "sink", "missing"]


def test_protection_counts_for_the_whole_package():
    server = FOUND["open-to-the-network"][1]
    guard = "from fastapi import Depends\ndef user(token):\n    return verify_token(token)\n"
    assert found({"a/server.py": server, "a/auth.py": guard}) == []
    assert found({"a/server.py": server, "b/auth.py": guard}) != []


def test_abilities_are_followed_into_other_modules():
    tools = TOOLS.format(address="url", read="return name").replace("return _load(name)", "return load(name)")
    tools = "from .store import load\n" + tools
    store = "def load(name):\n    return inner(name)\n\ndef inner(name):\n    return open(name).read()\n"
    assert found({"a/tools.py": tools}) == []
    (finding,) = found({"a/tools.py": tools, "a/store.py": store})
    assert {s.path for s in finding.steps} == {"a/tools.py", "a/store.py"}


def test_a_key_that_everybody_can_read():
    key = "-----BEGIN PRIVATE KEY-----\nx\n"
    (finding,) = found({"deploy/server.pem": key})
    assert finding.weakness == "readable-secrets"
    assert found({"deploy/server.pem": "-----BEGIN CERTIFICATE-----\n"}) == []


def test_the_graph_is_a_picture_that_stands_alone():
    (finding,) = found({"a/<b>.py": FOUND["three-sides"][1]})
    drawn = graph.svg(finding)
    root = ET.fromstring(drawn)
    words = "".join(root.itertext())
    assert {"untrusted input", "private data", "a way out", "the agent"} <= set(root.itertext())
    assert "browse" in words
    assert "note" in words
    assert "href" not in drawn
    assert "<script" not in drawn
    lines = graph.text(finding)
    assert lines.count("\n") == len(finding.steps) - 1
    report = Report("x", (finding,), Coverage(1, 1, 1))
    assert drawn in html.render(report)
    assert "private data" in text.render(report)
    assert graph.svg(found({"a.py": FOUND["passed-over"][1]})[0]) == ""
