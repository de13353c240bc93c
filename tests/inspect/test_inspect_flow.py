"""What reaches what: each weakness in a small tree that has it, and in one where a guard keeps it away."""

from __future__ import annotations

import textwrap

import pytest

from excise.inspect import run
from excise.inspect.finding import Severity
from excise.inspect.python import flow, validators

ROUTE = "from fastapi import FastAPI\napp = FastAPI()\n"


def inspect(tmp_path, files):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return run.inspect(tmp_path, analysers=(flow.ANALYSER, validators.ANALYSER)).findings


def found(tmp_path, text, least=Severity.LOW):
    return {f.weakness for f in inspect(tmp_path, {"app.py": text}) if f.severity >= least}


FIRES = {
    "tool argument is evaluated": (
        "code-execution",
        "@mcp.tool()\ndef calc(expression: str):\n    return eval(expression)\n",
    ),
    "model's answer is run": (
        "code-execution",
        "def go(self, q):\n    code = self.llm.predict(q)\n    exec(code)\n",
    ),
    "request in a shell line": (
        "command-execution",
        ROUTE + "import os\n@app.get('/p')\ndef ping(host: str):\n    os.system(f'ping {host}')\n",
    ),
    "tool argument may be an option": (
        "command-execution",
        "import subprocess\n@server.call_tool()\ndef diff(target):\n    subprocess.run(['git', 'diff', target])\n",
    ),
    "request is unpickled": (
        "unsafe-deserialisation",
        "import pickle\nfrom flask import request\n@app.route('/x')\ndef x():\n    return pickle.loads(request.data)\n",
    ),
    "unsafe loader": (
        "unsafe-deserialisation",
        "import yaml\ndef load(path):\n    return yaml.load(open(path), Loader=yaml.UnsafeLoader)\n",
    ),
    "full loader": (
        "unsafe-deserialisation",
        "import yaml\ndef load(path):\n    return yaml.load(open(path), Loader=yaml.FullLoader)\n",
    ),
    "option by a tool's argument, one function on": (
        "command-execution",
        (
            "@server.call_tool()\ndef call(name, arguments):\n    return diff(repo_of(name), arguments['target'])\n"
            "def diff(repo, target):\n    return repo.git.diff(target)\n"
        ),
    ),
    "repository made by a tool's argument": (
        "path-traversal",
        "import git\n@mcp.tool()\ndef init(path: str):\n    return git.Repo.init(path)\n",
    ),
    "import of what data names": (
        "dynamic-dispatch",
        "import importlib\ndef deserialise(value):\n    return importlib.import_module(value['module'])\n",
    ),
    "weights of others": (
        "unsafe-deserialisation",
        "import torch\ndef load(path):\n    return torch.load(path)\n",
    ),
    "template from a request": (
        "template-injection",
        ROUTE
        + "from jinja2 import Template\n@app.post('/t')\ndef t(template: str):\n    return Template(template).render()\n",
    ),
    "formatted query": (
        "query-injection",
        ROUTE
        + "@app.get('/q')\ndef q(name: str):\n    return cursor.execute(f'select * from t where n = {name}')\n",
    ),
    "file by a tool's argument": (
        "path-traversal",
        "@mcp.tool()\ndef read(path: str):\n    return open('/data/' + path).read()\n",
    ),
    "address by a request": (
        "request-forgery",
        ROUTE + "import httpx\n@app.get('/f')\ndef f(url: str):\n    return httpx.get(url).text\n",
    ),
    "method by a request": (
        "dynamic-dispatch",
        ROUTE + "@app.post('/c')\ndef c(name: str):\n    fn = getattr(api, name)\n    return fn()\n",
    ),
    "archive": (
        "archive-extraction",
        "import tarfile\ndef unpack(path):\n    with tarfile.open(path) as t:\n        t.extractall('/x')\n",
    ),
    "trusting a model's code": (
        "remote-code-trust",
        "def m():\n    return load('x', trust_remote_code=True)\n",
    ),
    "only the beginning": (
        "weak-path-check",
        "def is_safe_path(path):\n    return not str(path).startswith('..')\n",
    ),
    "not decoded": (
        "weak-path-check",
        "def validate_path(path):\n    if '..' in path.split('/'):\n        raise ValueError\n",
    ),
    "list without imports": (
        "deny-listed-code",
        "import ast\ndef check(code):\n    for n in ast.walk(ast.parse(code)):\n        if isinstance(n, ast.Call) and isinstance(n, ast.Name):\n            raise ValueError('not allowed')\n",
    ),
}
SILENT = {
    "literal": "@mcp.tool()\ndef calc(expression: str):\n    return ast.literal_eval(expression)\n",
    "number": ROUTE + "import os\n@app.get('/p')\ndef p(port: int):\n    os.system(f'kill {port}')\n",
    "allow-list": ROUTE
    + "import os\n@app.get('/p')\ndef p(name: str):\n    if name not in ('a', 'b'):\n        raise ValueError\n    os.system(f'run {name}')\n",
    "validator": "@mcp.tool()\ndef run(code: str):\n    validate_code(code)\n    exec(code)\n",
    "opt-in": "import pickle\ndef load(data, allow_dangerous_deserialization=False):\n    if not allow_dangerous_deserialization:\n        raise ValueError\n    return pickle.loads(data)\n",
    "hash": "import pickle\ndef load(data, want):\n    if sha256(data) != want.hash:\n        raise ValueError\n    return pickle.loads(data)\n",
    "no option": "@server.call_tool()\ndef call(name, arguments):\n    return diff(repo_of(name), arguments['target'])\n"
    "def diff(repo, target):\n    if target.startswith('-'):\n        raise ValueError\n    return repo.git.diff(target)\n",
    "import of a listed module": "import importlib\ndef deserialise(value):\n    if value['module'] not in ALLOWED:\n        raise ValueError\n"
    "    return importlib.import_module(value['module'])\n",
    "safe loader": "import yaml\ndef load(path):\n    return yaml.load(open(path), Loader=yaml.SafeLoader)\n",
    "weights only": "import torch\ndef load(path):\n    return torch.load(path, weights_only=True)\n",
    "sandbox": ROUTE
    + "from jinja2.sandbox import SandboxedEnvironment\n@app.post('/t')\ndef t(template: str):\n    env = SandboxedEnvironment()\n    return env.from_string(template).render()\n",
    "parameters": ROUTE
    + "@app.get('/q')\ndef q(name: str):\n    return cursor.execute('select * from t where n = ?', (name,))\n",
    "containment": "from pathlib import Path\n@mcp.tool()\ndef read(path: str):\n    full = (Path('/data') / path).resolve()\n    if not full.is_relative_to('/data'):\n        raise ValueError\n    return full.read_text()\n",
    "basename": "import os\n@mcp.tool()\ndef read(path: str):\n    return open('/data/' + os.path.basename(path)).read()\n",
    "host": ROUTE
    + "import httpx\nfrom urllib.parse import urlparse\n@app.get('/f')\ndef f(url: str):\n    if urlparse(url).hostname not in HOSTS:\n        raise ValueError\n    return httpx.get(url).text\n",
    "mark": ROUTE
    + "@app.post('/c')\ndef c(name: str):\n    fn = getattr(api, name)\n    if not getattr(fn, 'exposed', False):\n        raise ValueError\n    return fn()\n",
    "filter": "import tarfile\ndef unpack(path):\n    with tarfile.open(path) as t:\n        t.extractall('/x', filter='data')\n",
    "constant": "def go():\n    return eval('1 + 1')\n",
    "decoded": "def validate_path(path):\n    path = unquote(path)\n    if '..' in path.split('/'):\n        raise ValueError\n",
}


@pytest.mark.parametrize("case", FIRES)
def test_a_weakness_is_found(tmp_path, case):
    weakness, text = FIRES[case]
    assert weakness in found(tmp_path, text)


@pytest.mark.parametrize("case", SILENT)
def test_a_guard_keeps_it_away(tmp_path, case):
    assert found(tmp_path, SILENT[case]) == set()


def test_every_weakness_of_the_flow_has_a_case():
    covered = {weakness for weakness, _ in FIRES.values()}
    assert covered >= {*flow.ANALYSER.weaknesses, *validators.ANALYSER.weaknesses} - {
        "xml-entities",
        "inconsistent-guard",
    }


def test_a_flow_goes_through_modules_methods_and_results(tmp_path):
    findings = inspect(tmp_path, {
        "pkg/__init__.py": "from .store import Store\n",
        "pkg/store.py": "import pickle\nclass Base:\n    def read(self, blob):\n        return pickle.loads(blob)\nclass Store(Base):\n    pass\n",
        "pkg/web.py": "from fastapi import FastAPI, Request\nfrom pkg import Store\napp = FastAPI()\nasync def body(request: Request):\n"
        "    return await request.body()\n@app.post('/load')\nasync def load(request: Request):\n    store = Store()\n"
        "    data = await body(request)\n    return store.read(data)\n",
    })  # fmt: skip
    high = [f for f in findings if f.severity == Severity.HIGH]
    assert [(f.weakness, f.path, f.line) for f in high] == [("unsafe-deserialisation", "pkg/store.py", 4)]
    assert {s.path for s in high[0].steps} == {"pkg/store.py", "pkg/web.py"}
    assert high[0].proven


def test_a_helper_is_as_severe_as_who_calls_it(tmp_path):
    helper = "def helper(name):\n    return open('/data/' + name)\n"
    alone = inspect(tmp_path, {"a.py": helper})
    assert {f.severity for f in alone} <= {Severity.NOTE}
    called = inspect(
        tmp_path, {"a.py": helper + "@mcp.tool()\ndef read(name: str):\n    return helper(name)\n"}
    )
    assert max(f.severity for f in called) == Severity.HIGH


def test_a_switch_that_is_off_by_default_guards_nothing(tmp_path):
    text = "import torch\ndef load(path, scan={}):\n    if scan:\n        check_file(path)\n    return torch.load(path)\n"
    assert found(tmp_path, text.format("False")) == {"unsafe-deserialisation"}
    assert found(tmp_path, text.format("True")) == set()


def test_a_switch_that_was_only_asked_guards_nothing(tmp_path):
    asked = ROUTE + (
        "import httpx\n@app.get('/f')\ndef f(url: str):\n    if is_env_enabled('VERBOSE'):\n        print('asked')\n"
        "    return httpx.get(url).text\n"
    )
    assert found(tmp_path, asked) == {"request-forgery"}
    checked = asked.replace("print('asked')", "check_address(url)")
    assert not found(tmp_path, checked)


def test_a_key_called_name_is_no_last_part_of_a_path(tmp_path):
    keyed = "from flask import request\n@app.route('/x')\ndef x():\n    return open('/data/' + request.args{key}).read()\n"
    for key in (".get('name')", "['name']", ".get('host')"):
        assert found(tmp_path, keyed.replace("{key}", key)) == {"path-traversal"}
    named = "from pathlib import Path\n" + keyed.replace("request.args{key}", "Path(request.args['p']).name")
    assert not found(tmp_path, named)


def test_a_handler_is_one_by_the_bases_of_its_base(tmp_path):
    handler = (
        "import tornado.web\nclass BaseThing(tornado.web.RequestHandler):\n    pass\n"
        "class Edit(BaseThing):\n    def get(self, name=None):\n        return open('/data/' + name).read()\n"
    )
    assert found(tmp_path, handler) == {"path-traversal"}
    assert not found(tmp_path, handler.replace("(tornado.web.RequestHandler)", ""))


def test_a_check_inside_the_branch_that_made_the_value_holds_after_it(tmp_path):
    text = (
        "import re\nfrom flask import request\n@app.route('/x')\ndef x():\n    name = ''\n    if 'name' in request.args:\n"
        "        name = request.args['name']\nCHECK    return open('/data/' + name).read()\n"
    )
    assert found(tmp_path, text.replace("CHECK", "")) == {"path-traversal"}
    check = "        if not re.match('^[a-z]+$', name):\n            return ''\n"
    assert not found(tmp_path, text.replace("CHECK", check))


def test_a_parent_that_must_be_the_folder_and_a_domain_that_must_be_one(tmp_path):
    read = (
        ROUTE
        + "from pathlib import Path\n@app.get('/f')\ndef f(path: str):\nCHECK    return open('/data/' + path).read()\n"
    )
    parent = "    if Path(path).resolve().parent != ROOT:\n        return ''\n"
    assert found(tmp_path, read.replace("CHECK", "")) == {"path-traversal"}
    assert not found(tmp_path, read.replace("CHECK", parent))
    fetch = (
        ROUTE
        + "import httpx\nimport validators\n@app.get('/f')\ndef f(url: str):\nCHECK    return httpx.get(url).text\n"
    )
    domain = "    if not validators.domain(urlparse(url).netloc):\n        return ''\n"
    assert found(tmp_path, fetch.replace("CHECK", "")) == {"request-forgery"}
    assert not found(tmp_path, fetch.replace("CHECK", domain))
    well_formed = "    if not validators.url(url):\n        return ''\n"
    assert found(tmp_path, fetch.replace("CHECK", well_formed)) == {"request-forgery"}


def test_what_follows_a_function_is_what_it_is_called_with(tmp_path):
    text = (
        "@mcp.tool()\nasync def read(path: str, note: str):\n    await loop.run_in_executor(None, load, FIRST, SECOND)\n"
        "def load(path, note):\n    return open('/data/' + path).read()\n"
    )
    assert found(tmp_path, text.replace("FIRST", "path").replace("SECOND", "note")) == {"path-traversal"}
    assert not found(tmp_path, text.replace("FIRST", "'fixed'").replace("SECOND", "note"))


def test_what_a_framework_keeps_is_followed_by_the_name_of_its_method(tmp_path):
    kept = (
        "from flask import g, request\nimport requests\nclass Fetcher:\n    def fetch_page(self, address):\n"
        "        return requests.get(address)\n@app.route('/x')\ndef x():\n    return g.fetcher.fetch_page(request.args['u'])\n"
    )
    assert found(tmp_path, kept) == {"request-forgery"}


def test_pickles_are_allowed_by_what_is_not_known_to_be_false(tmp_path):
    load = "import numpy as np\nclass Reader:\n    def read(self, path):\n        return np.load(path, allow_pickle=VALUE)\n"
    assert found(tmp_path, load.replace("VALUE", "self.allow")) == {"unsafe-deserialisation"}
    assert not found(tmp_path, load.replace("VALUE", "False"))


def test_text_of_a_query_is_told_where_it_is_put_together(tmp_path):
    helper = "def clause(key: str):\n    return f\"json_extract(value, '$.{key}') = ?\"\n"
    assert found(tmp_path, helper, Severity.NOTE) == {"query-injection"}
    assert not found(tmp_path, helper, Severity.LOW)
    for plain in (
        helper.replace("key: str", "key: int"),
        helper.replace(
            "    return", "    if not re.fullmatch('[a-z]+', key):\n        raise ValueError\n    return"
        ),
        "def tell(key: str):\n    raise ValueError(f'no WHERE {key}')\n",
        "def tell(key: str):\n    logger.info(f'no WHERE {key}')\n",
        "def greet(name: str):\n    return f'where is {name}?'\n",
    ):
        assert not found(tmp_path, plain, Severity.NOTE)


def test_what_obeys_its_data_is_told_where_the_data_cannot_be_followed(tmp_path):
    lost = "import pickle\nclass Listener:\n    def go(self):\n        for message in self.listen():\n            pickle.loads(message)\n"
    assert found(tmp_path, lost, Severity.NOTE) == {"unsafe-deserialisation"}
    assert not found(tmp_path, lost, Severity.LOW)
    signed = lost.replace("            pickle", "            verify_signature(message)\n            pickle")
    assert not found(tmp_path, signed, Severity.NOTE)
    assert not found(tmp_path, lost.replace("pickle.loads(message)", "open(message)"), Severity.NOTE)


def test_a_sibling_without_the_guard_names_both(tmp_path):
    text = (
        "from pathlib import Path\nclass Files:\n    def download(self, name):\n        validate_path(name)\n"
        "        return open(Path('/data') / name)\n    def upload(self, name):\n        return open(Path('/data') / name)\n"
    )
    (finding,) = [
        f
        for f in inspect(tmp_path, {"files.py": text})
        if "guard" in f.fix or f.weakness == "inconsistent-guard"
    ]
    assert "download" in finding.title + finding.fix
    assert finding.symbol == "Files.upload"
    assert [s.line for s in finding.steps if s.rule == "guard"] == [4]


@pytest.mark.parametrize(
    "comment", ["# nosec", "# noqa: S307", "# nosemgrep", "# type: ignore", "# excise: ignore"]
)
def test_no_comment_silences_a_finding(tmp_path, comment):
    assert found(tmp_path, f"@mcp.tool()\ndef calc(x: str):\n    return eval(x)  {comment}\n") == {
        "code-execution"
    }


def test_tests_inside_tests_end_at_a_budget(tmp_path):
    test = "x == 1"
    for _ in range(60):
        test = f"(1 if {test} else 2) == 2"
    findings = inspect(
        tmp_path,
        {"deep.py": f"def f(x):\n    return {test}\n", "app.py": FIRES["tool argument is evaluated"][1]},
    )
    assert {(f.weakness, f.path) for f in findings} == {("coverage", "deep.py"), ("code-execution", "app.py")}


def test_results_of_results_are_followed_once(tmp_path):
    lines = ["def f0(a, b, c, d):", "    return a"]
    body = "\n".join(f"    x{i + 1} = f0(x{i}, x{i}, f0(x{i}, x{i}, x{i}, x{i}), x{i})" for i in range(60))
    text = "\n".join(lines) + f"\n@mcp.tool()\ndef go(x0):\n{body}\n    exec(x60)\n"
    assert "coverage" not in found(tmp_path, text)
