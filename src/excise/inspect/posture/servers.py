"""Servers that anybody can call: without authentication, or on this machine without a look at Host and Origin.

A server on `127.0.0.1` is open to every page in the user's browser, by plain requests and by DNS rebinding, unless it
asks for a token or looks at `Host` and `Origin`; websockets are not even held back by the browser's own rule. What its
handlers do decides how bad that is. Signs of authentication and of such checks are looked for in all files of the same
package that speak of a web framework; one sign is enough for silence, so this misses more than it accuses.
Sources: CVE-2025-49596 (a proxy for tools), CVE-2025-66416 (missing protection against rebinding).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from excise.inspect.analyser import Analyser, Tree
from excise.inspect.finding import Finding, Severity, Step
from excise.inspect.posture.shape import (
    Named,
    dotted,
    is_shipped,
    keyword,
    last,
    own_calls,
    shape,
    text_of,
    touched,
)
from excise.inspect.tree import Source
from excise.inspect.weakness import BY_ID

_WEB: Final = (
    "fastapi", "starlette", "flask", "aiohttp", "http.server", "uvicorn", "hypercorn", "websockets", "tornado", "bottle",
    "sanic", "quart", "falcon", "socketserver", "fastmcp", "FastMCP",
)  # fmt: skip
_AUTH: Final = (
    "HTTPBearer", "HTTPBasic", "APIKeyHeader", "APIKeyCookie", "APIKeyQuery", "OAuth2", "login_required", "require_auth",
    "requires_auth", "auth_required", "verify_token", "verify_api_key", "verify_auth", "verify_jwt", "verify_signature",
    "check_token", "check_auth", "check_api_key", "authenticat", "Authenticat", "compare_digest", "get_current_user",
    "jwt.decode", "bearer_auth", "BearerAuth", "TokenVerifier", "validate_token", "X-API-Key", "x-api-key",
    '"Authorization"', "'Authorization'", '"authorization"', "'authorization'", "auth_dependency", "user_api_key_auth",
)  # fmt: skip
"""Signs that somebody is asked who they are."""
_HOST: Final = (
    "TrustedHostMiddleware", "allowed_hosts", "ALLOWED_HOSTS", "check_origin", "check_host", "origins=",
    "TransportSecuritySettings", "dns_rebinding", "validate_origin", "validate_host", "sec-fetch-site", "Sec-Fetch-Site",
    'get("host"', 'get("origin"', 'get("Host"', 'get("Origin"', "get('host'", "get('origin'", "get('Host'", "get('Origin'",
    'headers["host"]', 'headers["origin"]', 'headers["Host"]', 'headers["Origin"]',
)  # fmt: skip
"""Signs that a request's Host or Origin is looked at."""
_OPEN_HOSTS: Final = frozenset({"0.0.0.0", "::", "[::]", "*"})  # noqa: S104  what is looked for
_STARTS: Final = re.compile(
    r"(?:^|\.)(?:uvicorn\.run|run_app|run_simple|serve_forever|make_server|hypercorn\.run|HTTPServer|ThreadingHTTPServer|TCPServer|ThreadingTCPServer|start_server|TCPSite)$"
)
_STARTING: Final = (
    "uvicorn.run", "run_app(", "run_simple(", "make_server(", "hypercorn.run", "HTTPServer(", "TCPServer(", "start_server(",
    "TCPSite(", ".serve(", "ws_serve(", "app.run(", "server.run(", "mcp.run(", "application.run(", "0.0.0.0",  # noqa: S104
)  # fmt: skip
_ACTING: Final = (
    "exec(", "eval(", "runpy", "os.system", "popen", "Popen", "subprocess", "pty.", "pexpect", "pickle", "dill",
    "torch.load", "joblib", "shutil", "os.remove", "os.unlink", "os.rename",
)  # fmt: skip
_APP_RUN: Final = re.compile(r"^(?:\w*app\w*|server|mcp|\w+_app|application)\.run$")
_ACTS: Final = {
    "runs code": frozenset({"exec", "eval", "runpy.run_path", "runpy.run_module"}),
    "runs commands": frozenset("os.system os.popen subprocess.run subprocess.Popen subprocess.call subprocess.check_output subprocess.check_call asyncio.create_subprocess_exec asyncio.create_subprocess_shell pty.spawn pexpect.spawn".split()),
    "deserialises": frozenset({"pickle.loads", "pickle.load", "cloudpickle.loads", "dill.loads", "torch.load", "joblib.load"}),
    "changes files": frozenset("shutil.rmtree os.remove os.unlink os.rename shutil.move shutil.copy shutil.copyfile".split()),
}  # fmt: skip
_ROUTE: Final = re.compile(
    r"\.(?:route|get|post|put|delete|patch|websocket|api_route|websocket_route|head|options)$"
)
_DO: Final = re.compile(r"^do_(?:GET|POST|PUT|DELETE|PATCH)$")


def read(source: Source) -> Any:
    """Starts of servers, handlers that act, and signs of protection in one file."""
    text = source.text
    if not _any(_WEB, text):
        return None
    note = {
        "starts": list({s["line"]: s for s in _starts(source)}.values()) if _any(_STARTING, text) else [],
        "acts": [act for n in touched(source, _ACTING) if _handles(n) for act in _acting(source, n)],
        "cors": list(_cors(source)) if "allow_credentials" in text else [],
        "auth": _any(_AUTH, text),
        "host": _any(_HOST, text),
    }
    return note if any(note.values()) else None


def _any(words: tuple[str, ...], text: str) -> bool:
    return any(word in text for word in words)


def _handles(named: Named) -> bool:
    decorated = any(
        _ROUTE.search(dotted(d.func if isinstance(d, ast.Call) else d)) for d in named.node.decorator_list
    )
    return decorated or (named.owner is not None and bool(_DO.match(named.node.name)))


def _acting(source: Source, named: Named) -> Iterator[dict[str, Any]]:
    for call, name in own_calls(named.node):
        what = next((what for what, names in _ACTS.items() if name in names), "")
        if what:
            yield {
                "line": call.lineno,
                "text": source.line(call.lineno).strip(),
                "symbol": named.symbol,
                "what": what,
            }


def _starts(source: Source) -> Iterator[dict[str, Any]]:
    where = [(n.symbol, n.node.lineno, n.node.end_lineno or n.node.lineno) for n in shape(source)]
    for call in (n for n in ast.walk(source.syntax) if isinstance(n, ast.Call)):
        name = dotted(call.func)
        default = last(call.func) in {"add_argument", "Option", "option", "Argument"} and _asks_for_host(call)
        socket = name.endswith(("websockets.serve", "websockets.server.serve", "ws_serve"))
        if not (socket or default or _STARTS.search(name) or _APP_RUN.match(name)):
            continue
        host = _host(call)
        if default and host not in _OPEN_HOSTS:
            continue
        symbol = next((s for s, first, end in reversed(where) if first <= call.lineno <= end), "")
        yield {
            "line": call.lineno, "text": source.line(call.lineno).strip(), "symbol": symbol, "name": name,
            "open": host in _OPEN_HOSTS, "socket": socket, "checked": bool(keyword(call, "origins") or keyword(call, "process_request")),
        }  # fmt: skip


def _asks_for_host(call: ast.Call) -> bool:
    return any("host" in text_of(a).lower() for a in call.args)


def _host(call: ast.Call) -> str:
    """The address that a call names; an empty one in a tuple means every interface."""
    for value in (keyword(call, "host"), keyword(call, "hostname"), keyword(call, "default"), *call.args):
        if isinstance(value, ast.Tuple) and value.elts and isinstance(value.elts[0], ast.Constant):
            return text_of(value.elts[0]) or "0.0.0.0"  # noqa: S104
        if text_of(value) in _OPEN_HOSTS:
            return text_of(value)
    return ""


def _cors(source: Source) -> Iterator[dict[str, Any]]:
    """Every origin allowed together with credentials."""
    for call in (n for n in ast.walk(source.syntax) if isinstance(n, ast.Call)):
        origins, credentials = keyword(call, "allow_origins"), keyword(call, "allow_credentials")
        wild = isinstance(origins, ast.List) and any(text_of(o) == "*" for o in origins.elts)
        pattern = text_of(keyword(call, "allow_origin_regex")) in {".*", "^.*$", "https?://.*"}
        if (wild or pattern) and isinstance(credentials, ast.Constant) and credentials.value is True:
            at = origins if wild and origins is not None else call
            yield {"line": at.lineno, "text": source.line(at.lineno).strip(), "symbol": ""}


def conclude(tree: Tree) -> Iterator[Finding]:
    """Servers of packages that show no protection."""
    packages: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for path, note in tree.notes.items():
        packages.setdefault(_package(path), []).append((path, note))
    for files in packages.values():
        auth = any(note["auth"] for _, note in files)
        host = any(note["host"] for _, note in files)
        acts = [(path, act) for path, note in files for act in note["acts"]]
        for path, note in files:
            if not auth:
                for start in note["starts"]:
                    yield from _server(path, start, acts, host)
            for cors in note["cors"]:
                yield _finding(
                    path,
                    cors,
                    Severity.MEDIUM,
                    "every web page may call with the user's credentials",
                    "any page in the user's browser",
                    [],
                )


def _package(path: str) -> str:
    parts = path.split("/")[:-1]
    return "/".join(parts[:2]) if parts[:1] in (["src"], ["lib"], ["packages"]) else "/".join(parts[:1])


def _server(
    path: str, start: Mapping[str, Any], acts: list[tuple[str, Any]], host: bool
) -> Iterator[Finding]:
    near = [a for a in acts if a[0] == path] or acts
    worst = any(act["what"] in {"runs code", "runs commands", "deserialises"} for _, act in near)
    if start["open"]:
        severity = Severity.HIGH if worst and near else Severity.MEDIUM
        yield _finding(
            path,
            start,
            severity,
            "a server on every interface asks nobody who they are",
            "whoever reaches the machine over the network",
            near,
        )
    elif start["socket"] and not start["checked"] and not host:
        severity = Severity.HIGH if worst else Severity.MEDIUM
        yield _finding(
            path,
            start,
            severity,
            "a websocket server takes calls of any web page",
            "any page in the user's browser",
            near,
        )
    elif near and not host:
        severity = Severity.HIGH if worst else Severity.MEDIUM
        yield _finding(
            path,
            start,
            severity,
            "a local server looks at neither a token nor Host and Origin",
            "any page in the user's browser, any process of the machine",
            near,
        )


def _finding(
    path: str,
    at: Mapping[str, Any],
    severity: Severity,
    what: str,
    controls: str,
    acts: list[tuple[str, Any]],
) -> Finding:
    weakness = BY_ID["open-local-server"]
    done = [
        Step(p, a["line"], f"{a['symbol']}, a handler, {a['what']}", "present", a["text"])
        for p, a in acts[:3]
    ]
    step = Step(path, at["line"], what, "missing" if done else "present", at["text"])
    return Finding(
        weakness.id,
        severity,
        "medium",
        path,
        at["line"],
        what,
        (*done, step),
        controls,
        weakness.gets,
        weakness.fix,
        symbol=at["symbol"],
    )


SERVERS = Analyser("servers", ("open-local-server",), is_shipped, read, conclude)
