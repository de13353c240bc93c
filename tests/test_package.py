"""The package keeps its promises: a clean tree, locked dependencies, and a wheel that works by itself."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import excise
from repository import ROOT, page, tracked

PROJECT = tomllib.loads(page("pyproject.toml"))["project"]
LOADS_US = {"vllm"}
"""Programs that load a file of ours into themselves: they are there, or nothing imports that file."""
LONGEST_FILE = 450
"""Lines: half as long again as the house style asks for; past that a file is split, not excused."""


def test_no_file_names_a_registry_or_a_place_on_one_machine():
    hosts = ("pypi" + r"\.org", "python" + "hosted", "npm" + r"js\.(?:org|com)", r"deb\." + "debian")
    places = [f"/{name}/" for name in ("work", "root", "home", "Users")]
    found = re.compile("|".join((*hosts, *places)).encode())
    texts = [path for path in tracked() if path.suffix not in {".png", ".npz", ".parquet"}]
    hits = [(path.name, m.group()) for path in texts if (m := found.search(path.read_bytes()))]
    assert len(texts) > 100
    assert not hits
    locks = page("requirements.txt") + page("requirements-dev.txt")
    assert not re.search(r"^(?:-i|--[\w-]*index[\w-]*|--find-links)\b|://", locks, re.MULTILINE)


def test_files_stay_short_enough_to_read():
    sources = [path for path in tracked() if path.suffix == ".py" and path.is_relative_to(ROOT / "src")]
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in sources
    }
    assert len(lengths) > 50
    assert not {name: n for name, n in lengths.items() if n > LONGEST_FILE}


@pytest.mark.parametrize(
    "path", [p for p in tracked() if p.suffix == ".sh" or p.name == "run"], ids=lambda p: p.name
)
def test_shell_scripts_parse(path):
    shell = "bash" if path.read_text("utf-8").startswith("#!/usr/bin/env bash") else "sh"
    subprocess.run([shell, "-n", path], check=True)


def test_the_version_is_the_same_everywhere():
    assert PROJECT["version"] == excise.__version__ == metadata.version("excise")
    assert f"\n## {excise.__version__}" in page("CHANGELOG.md")


def test_the_command_loads_nothing_heavy():
    heavy = ("numpy", "pyarrow", "numba", "msgspec", "jinja2", "pydantic", "psycopg", "rich", "yaml")
    code = f"import sys, excise.cli.app; print([m for m in {heavy!r} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout == "[]\n"


# Dependencies


def locked(name: str) -> dict[str, str]:
    """Package and version of a lock file; every package must come with hashes."""
    entries = re.split(r"\n(?=[a-z0-9])", re.sub(r"^\s*#.*\n", "", page(name), flags=re.MULTILINE).strip())
    assert all("--hash=sha256:" in entry for entry in entries)
    pins = [entry.split(maxsplit=1)[0].split("==") for entry in entries]
    return {canonicalize_name(package.split("[")[0]): version for package, version in pins}


@pytest.mark.parametrize(
    ("name", "extras"),
    [("requirements.txt", ["build"]), ("requirements-dev.txt", ["build", "dev", "postgres", "spark"])],
)
def test_the_locks_fit_the_ranges(name, extras):
    pins = locked(name)
    wanted = PROJECT["dependencies"] + [
        r for extra in extras for r in PROJECT["optional-dependencies"][extra]
    ]
    for requirement in map(Requirement, wanted):
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier


def test_tests_run_with_what_users_get():
    runtime, dev = locked("requirements.txt"), locked("requirements-dev.txt")
    assert {name: dev.get(name) for name in runtime} == runtime


def test_every_import_is_a_declared_dependency_or_comes_with_one():
    """`markupsafe` is half of jinja2's interface, `llvmlite` of numba's, `py4j` of pyspark's: they are pinned by those. PyYAML is `yaml`."""
    extras = [r for name, r in PROJECT["optional-dependencies"].items() if name not in {"build", "dev"}]
    groups = [PROJECT["dependencies"], *extras]
    declared = {canonicalize_name(Requirement(r).name) for group in groups for r in group}
    declared |= {
        canonicalize_name(Requirement(r).name)
        for r in metadata.requires("jinja2") + metadata.requires("numba") + metadata.requires("pyspark")
        if "extra" not in r
    }
    used = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                used |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                used.add(node.module.split(".")[0])
    known = {{"pyyaml": "yaml"}.get(name, name.replace("-", "_")) for name in declared} | LOADS_US
    assert used - set(sys.stdlib_module_names) - {"excise"} <= known


# The wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built of a copy of the tracked files, as an empty clone has them."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for path in tracked():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out],
        cwd=copy,
        check=True,
        capture_output=True,
    )
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The `bin` of an environment that has the wheel and, of this one, only the dependencies: no trace of the source."""
    home = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin" / "python"
    site = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            wheel,
        ],
        check=True,
        capture_output=True,
    )
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def run(program: Path, *words: str, cwd: Path) -> str:
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run([program, *words], cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_of_the_package(wheel):
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    source = {
        p.relative_to(ROOT / "src").as_posix() for p in tracked() if p.is_relative_to(ROOT / "src" / "excise")
    }
    assert inside == source
    assert {"excise/py.typed", "excise/sketch/fold.npz"} <= inside
    assert {Path(name).suffix for name in inside} >= {".j2", ".css", ".toml"}


def test_the_readme_runs_from_the_wheel(installed, tmp_path):
    """Each command and program of the front page, on a small world, as a user of the wheel would."""
    where = run(installed / "python", "-c", "import excise; print(excise.__file__)", cwd=tmp_path)
    assert where.startswith(str(installed.parent))
    run(
        installed / "excise",
        "simulate",
        "--out",
        "world",
        "--exchanges",
        "3000",
        "--level",
        "1",
        cwd=tmp_path,
    )
    console = re.search(r"```console\n(.*?)```", page("README.md"), re.DOTALL).group(1)
    steps = [line.removeprefix("$ excise ").split("#")[0].split() for line in console.splitlines()]
    assert [words[0] for words in steps] == ["ingest", "scan", "explain", "diff", "export"]
    real = {"LOGS": "world"}
    for words in steps:
        run(installed / "excise", *[real.get(word, word) for word in words], cwd=tmp_path)
        if words[0] == "scan":
            made = tmp_path / "runs" / "april"
            assert {p.name for p in made.iterdir()} == {
                "run.json",
                "campaigns.json",
                "accounts.parquet",
                "harvest.parquet",
                "report.html",
            }
            real["ACCOUNT"] = pq.read_table(made / "accounts.parquet")["account_id"][0].as_py()
            shutil.copytree(made, tmp_path / "runs" / "march")
    assert (tmp_path / "limit.csv").read_text("utf-8").startswith('"account_id","campaign_id"')
    program = (
        re.search(r"```python\n(.*?)```", page("README.md"), re.DOTALL).group(1).replace('"LOGS"', '"world"')
    )
    run(
        installed / "python",
        "-W",
        "error",
        "-c",
        program + "\nassert run.accounts.num_rows > 0",
        cwd=tmp_path,
    )
