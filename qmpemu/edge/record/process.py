"""The emulator that is recorded, as a process: started, greeted, talked to, ended whatever happens."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from qemu.qmp import QMPClient
from qemu.qmp.error import QMPError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PATIENCE_S = 30.0
"""For a program that only prints and ends."""
DIALOGUE_S = 120.0
"""For all that one emulator is asked; a second or two is usual."""


class RecordError(Exception):
    """The binary cannot be recorded; one sentence."""


class StartError(RecordError):
    """The emulator left before its monitor greeted: this machine cannot have what was asked for."""


async def output(binary: str, *words: str) -> str:
    """What a program prints before it ends. Raises RecordError."""
    try:
        process = await asyncio.create_subprocess_exec(
            binary, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as error:
        raise RecordError(f"{binary} cannot be run: {error.strerror}") from None
    try:
        output, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    except TimeoutError:
        raise RecordError(f"{binary} {' '.join(words)} does not end") from None
    finally:
        await _end(process)
    return output.decode("utf-8", "replace")


@asynccontextmanager
async def emulator(
    binary: str, words: list[str], ready: Callable[[], object]
) -> AsyncIterator[tuple[QMPClient, bytes]]:
    """An emulator: a negotiated client, the greeting's bytes. ready: told when it greeted. Raises RecordError."""
    with tempfile.TemporaryDirectory(prefix="qmpemu-") as folder:
        socket, said = f"{folder}/qmp", Path(folder, "stderr")
        with said.open("wb") as stderr:  # a file: nobody would empty a pipe
            process = await asyncio.create_subprocess_exec(
                binary,
                *words,
                "-qmp",
                f"unix:{socket},server=on,wait=off",
                stderr=stderr,
                stdin=asyncio.subprocess.DEVNULL,
            )
        client = QMPClient("recorder")
        try:
            async with asyncio.timeout(DIALOGUE_S):
                greeting = await _greeting(socket, process, said)
                ready()
                await client.connect(socket)
                try:
                    yield client, greeting
                finally:
                    with suppress(EOFError, ConnectionError):  # it left first; what that broke says so itself
                        await client.disconnect()
        except TimeoutError:
            raise RecordError(f"{binary} {' '.join(words)} gave no answer") from None
        except (QMPError, EOFError, ConnectionError) as error:
            raise RecordError(f"{binary} {' '.join(words)} broke off: {error}") from None
        finally:
            await _end(process)


async def _greeting(socket: str, process: asyncio.subprocess.Process, said: Path) -> bytes:
    """The greeting's bytes, read below the client library, by a connection of its own."""
    while process.returncode is None:
        try:
            reader, writer = await asyncio.open_unix_connection(socket)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        try:
            line = await reader.readline()
        except ConnectionError:  # it listens before it finds that it cannot start
            line = b""
        writer.close()
        if line.startswith(b'{"QMP": '):
            return line.rstrip()
        break
    text = said.read_text("utf-8", "replace").strip()
    raise StartError(f"it left without a greeting, with status {await process.wait()}: {text[:300]}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """However a recording ends, and be it cancelled, none of its processes stays."""
    if process.returncode is None:
        process.kill()
    await process.wait()
