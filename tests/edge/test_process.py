"""The emulator process as programs see it: the same claims hold for ours and for the real QEMU 7.2."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from emulators import Emulator

NONE = ("-machine", "none")


def test_the_greeting_and_replies_end_in_crlf(emulator: Emulator) -> None:
    """Each message is one line that ends in CRLF; the greeting names QEMU 7.2.22 and oob."""
    client = emulator.start(*NONE, "-S").client(negotiate=False)
    assert client.greeting["QMP"]["version"]["qemu"] == {"major": 7, "minor": 2, "micro": 22}
    assert client.greeting["QMP"]["capabilities"] == ["oob"]
    client.send(b'{"execute":"qmp_capabilities"}{"execute":"query-name","id":[1]}')
    assert client.read_line() == b'{"return": {}}\r\n'
    assert client.read_line() == b'{"return": {}, "id": [1]}\r\n'


def test_event_first_then_reply(emulator: Emulator) -> None:
    """cont, stop, system_powerdown, system_reset: the event stands before the reply, also when pipelined."""
    client = emulator.start(*NONE, "-S").client()
    for command in ("cont", "stop", "system_powerdown", "system_powerdown", "system_reset"):
        client.put(command)
    got = [client.read() for _ in range(10)]
    assert [m.get("event", "return") for m in got] == [
        "RESUME",
        "return",
        "STOP",
        "return",
        "POWERDOWN",
        "return",
        "POWERDOWN",
        "return",
        "RESET",
        "return",
    ]
    assert got[8]["data"] == {"guest": False, "reason": "host-qmp-system-reset"}
    assert sorted(got[0]) == ["event", "timestamp"]


def test_quit_ends_with_event_reply_eof_and_status_0(emulator: Emulator) -> None:
    """quit: SHUTDOWN host-qmp-quit, the reply, end of file, status 0; what is pipelined behind gets no answer."""
    client = emulator.start(*NONE, "-S", "-no-shutdown").client()
    client.send(b'{"execute":"quit","id":1}{"execute":"query-status","id":2}')
    assert client.story() == ["SHUTDOWN host-qmp-quit", "return", "EOF"]
    assert emulator.finish() == (0, "")
    assert not emulator.socket_path.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_termination_signal_is_a_forced_shutdown(emulator: Emulator, number: signal.Signals) -> None:
    """SIGTERM, SIGINT, SIGHUP: SHUTDOWN host-signal, end of file, status 0, and stderr names signal and sender."""
    client = emulator.start(*NONE, "-no-shutdown").client()
    client.put("query-status")
    client.read()
    assert emulator.process is not None
    emulator.process.send_signal(number)
    assert client.story() == ["SHUTDOWN host-signal", "EOF"]
    status, stderr = emulator.finish()
    assert status == 0
    me = Path("/proc/self/cmdline").read_bytes().split(b"\0")[0].decode()
    assert stderr == f"qemu-system-x86_64: terminating on signal {number} from pid {os.getpid()} ({me})\n"


def test_a_signal_during_negotiation_gives_no_event(emulator: Emulator) -> None:
    """A client that has not negotiated sees end of file only."""
    client = emulator.start(*NONE).client(negotiate=False)
    client.send(b'{"execute":"query-status"}')
    assert client.read()["error"]["class"] == "CommandNotFound"
    assert emulator.process is not None
    emulator.process.terminate()
    assert client.story() == ["EOF"]


def test_reset_with_no_reboot(emulator: Emulator) -> None:
    """-no-reboot turns system_reset into SHUTDOWN host-qmp-system-reset; the reply still comes, status 0."""
    client = emulator.start(*NONE, "-no-reboot").client()
    client.put("system_reset")
    assert client.story() == ["SHUTDOWN host-qmp-system-reset", "return", "EOF"]
    assert emulator.finish()[0] == 0


def test_reset_with_no_reboot_and_no_shutdown(emulator: Emulator) -> None:
    """With -no-shutdown too: SHUTDOWN, STOP, reply; cont is refused until a reset that never comes."""
    client = emulator.start(*NONE, "-no-reboot", "-no-shutdown").client()
    client.put("system_reset")
    assert client.story("return") == ["SHUTDOWN host-qmp-system-reset", "STOP", "return"]
    assert client.ask("query-status")["return"]["status"] == "shutdown"
    assert client.ask("cont")["error"]["desc"] == "Resetting the Virtual Machine is required"
    client.put("system_reset")
    assert client.story("return") == ["SHUTDOWN host-qmp-system-reset", "return"]


def test_a_shutdown_that_stays_moves_only_a_running_machine(emulator: Emulator) -> None:
    """-no-shutdown in prelaunch and paused: SHUTDOWN without STOP, the state stays, and cont works."""
    client = emulator.start(*NONE, "-S", "-no-reboot", "-no-shutdown").client()
    for state in ("prelaunch", "paused"):
        client.put("system_reset")
        assert client.story("return") == ["SHUTDOWN host-qmp-system-reset", "return"]
        assert client.ask("query-status")["return"]["status"] == state
        client.put("cont")
        assert client.story("return") == ["RESUME", "return"]
        client.put("stop")
        assert client.story("return") == ["STOP", "return"]


def test_set_action_takes_effect_at_once(emulator: Emulator) -> None:
    """set-action reboot=shutdown is -no-reboot from then on."""
    client = emulator.start(*NONE).client()
    assert client.ask("set-action", reboot="shutdown", shutdown="pause") == {"return": {}}
    client.put("system_reset")
    assert client.story("return") == ["SHUTDOWN host-qmp-system-reset", "STOP", "return"]


def test_one_client_at_a_time_then_the_next_is_greeted(emulator: Emulator) -> None:
    """A second client waits in the backlog, what it sent meanwhile is run, negotiation does not survive."""
    first = emulator.start(*NONE, "-S").client()
    second = emulator.socket()
    second.connect(str(emulator.socket_path))
    second.send(b'{"execute":"qmp_capabilities"}')
    assert first.ask("query-status")["return"]["status"] == "prelaunch"
    first.put("cont")
    assert first.story("return") == ["RESUME", "return"]
    first.close()
    client = emulator.adopt(second)
    assert "QMP" in client.read()
    assert client.read() == {"return": {}}
    assert client.ask("query-status")["return"]["status"] == "running"


def test_half_close_still_delivers_the_reply(emulator: Emulator) -> None:
    """After SHUT_WR the replies to what was sent come, then end of file; the emulator lives on."""
    client = emulator.start(*NONE).client()
    client.put("query-name")
    client.sock.shutdown(socket.SHUT_WR)
    assert client.story() == ["return", "EOF"]
    assert emulator.client().ask("query-name") == {"return": {}}


def test_events_go_to_every_negotiated_monitor(emulator: Emulator) -> None:
    """Replies go to the asker only, events to all monitors past negotiation."""
    other = emulator.folder / "other.sock"
    emulator.start(*NONE, "-S", "-qmp", f"unix:{other},server=on,wait=off")
    asker = emulator.client()
    emulator.socket_path = other
    listener = emulator.client()
    asker.put("cont")
    assert asker.story("return") == ["RESUME", "return"]
    assert listener.read()["event"] == "RESUME"
    assert listener.ask("query-status")["return"]["running"] is True


def test_an_inherited_listening_socket(emulator: Emulator) -> None:
    """-chardev socket,fd=N serves a socket that the parent listens on already (libvirt's way)."""
    listener = emulator.socket(listen=True)
    fd = listener.fileno()
    words = (*NONE, "-chardev", f"socket,id=c,fd={fd},server=on,wait=off", "-mon", "chardev=c,mode=control")
    emulator.start(*words, qmp=False, pass_fds=(fd,))
    listener.close()
    client = emulator.client()
    (row,) = client.ask("query-chardev")["return"]
    assert row == {"label": "c", "frontend-open": True, "filename": f"unix:{emulator.socket_path},server=on"}


def test_client_mode_connects_out(emulator: Emulator) -> None:
    """Without server=on the emulator connects to the client and greets it."""
    listener = emulator.socket(listen=True)
    words = (*NONE, "-chardev", f"socket,id=c,path={emulator.socket_path}", "-mon", "chardev=c,mode=control")
    emulator.start(*words, qmp=False)
    client = emulator.adopt(listener.accept()[0])
    assert "QMP" in client.read()
    assert client.ask("qmp_capabilities") == {"return": {}}


def test_stdio(emulator: Emulator) -> None:
    """-qmp stdio speaks on standard input and output; the end of standard input does not end the emulator."""
    emulator.start(*NONE, "-qmp", "stdio", stdin=subprocess.PIPE)
    process = emulator.process
    assert process is not None
    assert process.stdin is not None
    assert process.stdout is not None
    assert "QMP" in json.loads(process.stdout.readline())
    process.stdin.write('{"execute":"qmp_capabilities"}')
    process.stdin.close()
    process.stdin = None
    assert json.loads(process.stdout.readline()) == {"return": {}}
    assert emulator.client().ask("query-name") == {"return": {}}


def test_commands_from_a_file(emulator: Emulator, tmp_path: Path) -> None:
    """Standard input may be a file, which cannot be polled."""
    file = tmp_path / "commands"
    file.write_text('{"execute":"qmp_capabilities"}{"execute":"query-name"}{"execute":"quit"}')
    with file.open() as commands:
        process = emulator.start(*NONE, "-qmp", "stdio", qmp=False, stdin=commands).process
    assert process is not None
    said = [json.loads(line) for line in process.communicate(timeout=20)[0].splitlines()]
    assert [next(iter(each)) for each in said] == ["QMP", "return", "return", "timestamp", "return"]


def test_all_is_said_on_standard_output(emulator: Emulator, tmp_path: Path) -> None:
    """Whoever reads late finds every reply, and be it more than a pipe holds."""
    file = tmp_path / "commands"
    count = 40
    file.write_text(
        '{"execute":"qmp_capabilities"}' + '{"execute":"query-commands"}' * count + '{"execute":"quit"}'
    )
    with file.open() as commands:
        process = emulator.start(*NONE, "-qmp", "stdio", qmp=False, stdin=commands).process
    assert process is not None
    said = process.communicate(timeout=20)[0].splitlines()
    assert sum('"return"' in line for line in said) == count + 2


def test_tcp(emulator: Emulator) -> None:
    """-qmp tcp:HOST:PORT listens there; query-chardev shows both ends of the connection."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    emulator.start(*NONE, "-qmp", f"tcp:127.0.0.1:{port},server=on,wait=off")
    emulator.client().close()
    client = emulator.adopt(socket.create_connection(("127.0.0.1", port), timeout=20))
    assert "QMP" in client.read()
    assert client.ask("qmp_capabilities") == {"return": {}}
    names = {row["label"]: row["filename"] for row in client.ask("query-chardev")["return"]}
    mine = client.sock.getsockname()[1]
    assert names["compat_monitor0"] == f"tcp:127.0.0.1:{port},server=on <-> 127.0.0.1:{mine}"


def test_wait_on_blocks_until_a_client_comes(emulator: Emulator) -> None:
    """A server without wait=off says that it waits, and starts when the client is there."""
    emulator.start(*NONE, "-qmp", f"unix:{emulator.socket_path},server=on", qmp=False)
    assert emulator.process is not None
    assert emulator.process.stderr is not None
    assert emulator.process.stderr.readline() == (
        f"qemu-system-x86_64: -qmp unix:{emulator.socket_path},server=on: info: QEMU waiting for connection on: "
        f"disconnected:unix:{emulator.socket_path},server=on\n"
    )
    assert emulator.client().ask("query-status")["return"]["status"] == "running"


def test_version_banner(emulator: Emulator) -> None:
    """-version prints the recorded version line."""
    emulator.start("-version", qmp=False)
    assert emulator.process is not None
    assert emulator.process.stdout is not None
    first = emulator.process.stdout.readline()
    assert first == "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\n"
    assert emulator.finish()[0] == 0


def test_named_descriptors(emulator: Emulator, tmp_path: Path) -> None:
    """getfd takes the descriptor sent with it, closefd closes it; refusals are QEMU's."""
    client = emulator.start(*NONE).client()
    assert client.ask("getfd", fdname="x")["error"]["desc"] == "No file descriptor supplied via SCM_RIGHTS"
    with (tmp_path / "file").open("w") as file:
        for name in ("x", "x", "1x"):
            message = b'{"execute":"getfd","arguments":{"fdname":"%s"}}' % name.encode()
            socket.send_fds(client.sock, [message], [file.fileno()])
            reply = client.read()
            if name == "x":
                assert reply == {"return": {}}
    assert reply["error"]["desc"] == "Parameter 'fdname' expects a name not starting with a digit"
    assert client.ask("closefd", fdname="x") == {"return": {}}
    assert client.ask("closefd", fdname="x")["error"]["desc"] == "File descriptor named 'x' not found"


def test_human_monitor(emulator: Emulator) -> None:
    """human-monitor-command runs the verbs: event first, texts with CRLF, errors as text."""
    client = emulator.start(*NONE, "-S", "-name", "foo").client()

    def hmp(line: str) -> list[object]:
        client.put("human-monitor-command", command_line=line)
        got: list[object] = []
        while not got or (isinstance(got[-1], str) and got[-1].startswith("EVENT ")):
            message = client.read()
            got.append(f"EVENT {message['event']}" if "event" in message else message.get("return", message))
        return got

    assert hmp("info status") == ["VM status: paused (prelaunch)\r\n"]
    assert hmp("cont") == ["EVENT RESUME", ""]
    assert hmp(" stop ") == ["EVENT STOP", ""]
    assert hmp("info status") == ["VM status: paused\r\n"]
    assert hmp("system_powerdown") == ["EVENT POWERDOWN", ""]
    assert hmp("nosuch a b") == ["unknown command: 'nosuch'\r\n"]
    assert hmp("") == [""]
    assert hmp("info name") == ["foo\r\n"]
    assert hmp("info version") == ["7.2.22Debian 1:7.2+dfsg-7+deb12u18+b3\r\n"]
    extraneous = 'stop|s: extraneous characters at the end of line\r\nTry "help s" for more information\r\n'
    assert hmp("s x") == [extraneous]
    assert hmp("q") == ["EVENT SHUTDOWN", ""]


def test_descriptor_sets(emulator: Emulator, tmp_path: Path) -> None:
    """add-fd, remove-fd, query-fdsets: ids, order and refusals; nothing goes while the machine stands still."""
    client = emulator.start(*NONE, "-S").client()

    def add(**arguments: object) -> dict[str, object]:
        with (tmp_path / "file").open("w") as file:
            sent = {name.replace("_", "-"): value for name, value in arguments.items()}
            message = json.dumps({"execute": "add-fd", "arguments": sent}).encode()
            socket.send_fds(client.sock, [message], [file.fileno()])
        return client.read()

    def sets() -> list[tuple[int, list[object]]]:
        rows = client.ask("query-fdsets")["return"]
        return [(row["fdset-id"], [each.get("opaque") for each in row["fds"]]) for row in rows]

    assert client.ask("add-fd")["error"]["desc"] == "No file descriptor supplied via SCM_RIGHTS"
    assert add(fdset_id=-1)["error"]["desc"] == "Parameter 'fdset-id' expects a non-negative value"
    for arguments in ({}, {"opaque": "a"}, {"fdset_id": 1, "opaque": "b"}, {"fdset_id": 7}):
        assert "return" in add(**arguments)
    everything = [(7, [None]), (1, ["a", "b"]), (0, [None])]
    assert sets() == everything
    assert client.ask("remove-fd", fdset_id=9)["error"]["desc"] == (
        "File descriptor named 'fdset-id:9' not found"
    )
    assert client.ask("remove-fd", fdset_id=1, fd=9999)["error"]["desc"] == (
        "File descriptor named 'fdset-id:1, fd:9999' not found"
    )
    assert client.ask("remove-fd", fdset_id=7) == {"return": {}}
    assert sets() == everything
    client.put("cont")
    assert client.story("return") == ["RESUME", "return"]
    assert client.ask("remove-fd", fdset_id=7) == {"return": {}}
    assert sets() == everything[1:]
    client.close()
    client = emulator.client()
    assert sets() == []
