"""The house keeps its shape: the floors, the lazy start, the linters, each as a test."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "qmpemu"
BELOW_THE_EDGE = sorted(p for p in PACKAGE.rglob("*.py") if "edge" not in p.relative_to(PACKAGE).parts)

SLOW_IMPORTS = {
    "asyncio",
    "dataclasses",
    "inspect",
    "logging",
    "msgspec",
    "pathlib",
    "rich",
    "structlog",
    "subprocess",
}
SLOW_IMPORTS |= {"binascii", "collections", "heapq", "zlib"}
SLOW_IMPORTS |= {
    "typer",
    "typing",
    "enum",
    "functools",
    "importlib",
    "json",
    "re",
    "selectors",
    "signal",
    "socket",
}
SLOW_IMPORTS |= {
    "qmpemu.edge.argv.config_file",
    "qmpemu.edge.argv.default_options",
    "qmpemu.edge.argv.drive_options",
    "qmpemu.edge.argv.kernel_options",
    "qmpemu.edge.argv.network_options",
    "qmpemu.edge.argv.numa_options",
    "qmpemu.edge.argv.spice_options",
    "qmpemu.machine.block.by_node",
    "qmpemu.machine.block.old_drives",
}
"""What the emulator does without until its first command is answered: each costs milliseconds of the start."""


FORBIDDEN_CALLS = {"open", "print", "input"} | {
    f"os.{name}"
    for name in (
        "open",
        "read",
        "write",
        "close",
        "pipe",
        "fork",
        "unlink",
        "stat",
        "kill",
        "urandom",
        "getpid",
        "times",
    )
}


def run(*words: str) -> None:
    """Run a tool of this environment in the project's root; its output is the message of a failure."""
    tool = Path(sys.executable).with_name(words[0])
    done = subprocess.run([tool, *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_import_contract() -> None:
    """A file imports only from lower floors and its own folder, and I/O modules only at the edge."""
    run("lint-imports", "--no-cache")


def test_ruff_check() -> None:
    """`ruff check` has nothing to say."""
    run("ruff", "check", "--no-cache", ".")


def test_ruff_format() -> None:
    """`ruff format` would change nothing."""
    run("ruff", "format", "--no-cache", "--check", ".")


@pytest.mark.timeout(300)
def test_mypy() -> None:
    """The package is `mypy --strict` clean."""
    run("mypy", "--strict", "qmpemu")


@pytest.mark.parametrize("path", BELOW_THE_EDGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_opened_at_the_edge_only(path: Path) -> None:
    """No module below the edge calls open() or a function of os that touches files, descriptors or processes."""
    found = [
        f"line {node.lineno}: {ast.unparse(node.func)}()"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in FORBIDDEN_CALLS
    ]
    assert found == []


LISTENING = (
    "-vnc 127.0.0.1:90,to=99 -chardev socket,id=line,host=127.0.0.1,port=0,server=on,wait=off "
    "-netdev socket,id=net,listen=127.0.0.1:0"
)


@pytest.mark.parametrize("machine", ["none", "q35", "pc-i440fx-7.2"])
def test_start_imports_are_lean(machine: str, tmp_path: Path) -> None:
    """From exec to a quit over QMP the emulator imports none of the modules that would make its first answer late."""
    code = "import sys; from qmpemu.edge.process import main; main(); print('\\n'.join(sys.modules))"
    words = f"-machine {machine} -nodefaults -display none -S -qmp unix:qmp {LISTENING}".split()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "qmp"))
        listener.listen(1)
        emulator = subprocess.Popen(
            [sys.executable, "-S", "-c", code, *words],
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
        )
        with listener.accept()[0] as client:
            client.sendall(
                b'{"execute": "qmp_capabilities"}\n{"execute": "query-status"}\n{"execute": "quit"}\n'
            )
            out, _ = emulator.communicate()
    assert emulator.returncode == 0
    assert SLOW_IMPORTS.intersection(out.split()) == set()


def test_every_module_says_what_it_is() -> None:
    """Every module of the package opens with a docstring."""
    silent = [
        str(p.relative_to(ROOT))
        for p in PACKAGE.rglob("*.py")
        if not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert silent == []


def test_profiles_are_in_the_wheel(tmp_path: Path) -> None:
    """The built wheel carries every file of the package, recorded profiles included, and both commands."""
    build = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = set(wheel.namelist())
    kept = {
        str(p.relative_to(ROOT)) for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts
    }
    assert kept <= packed
    suite = ROOT / "conformance"
    cases = {
        str(p.relative_to(ROOT)) for p in suite.rglob("*") if p.suffix in (".qmp", ".txt", ".json", ".toml")
    }
    assert {f"qmpemu/{name}" for name in cases} <= packed
    assert any(name.endswith(".data/scripts/qmpemu-system-x86_64") for name in packed)
    assert any(name.endswith("entry_points.txt") for name in packed)
