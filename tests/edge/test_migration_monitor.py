"""Figures of a migration by QMP and what the human monitor says of it, on ours and the real one."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Client
from test_migration_relay import done
from two import SLOW, Two, answer, poll, status

GLOBALS = """globals:
store-global-state: on
only-migratable: off
send-configuration: on
send-section-footer: on
decompress-error-check: on
clear-bitmap-shift: 18
"""
SAID = {
    "migrate_set_capability xbzrle on": "",
    "migrate_set_capability foo on": "Error: invalid parameter value: foo\n",
    "migrate_set_capability xbzrle maybe": "Expected 'on' or 'off'\nTry \"help migrate_set_capability\" for more"
    " information\n",
    "migrate_set_capability xbzrle on on": "migrate_set_capability: extraneous characters at the end of line\n"
    'Try "help migrate_set_capability" for more information\n',
    "migrate_set_parameter downtime-limit 500": "",
    "migrate_set_parameter downtime-limit 99999999": "Error: Parameter 'downtime_limit' expects an integer in the"
    " range of 0 to (2000 * 1000) ms\n",
    "migrate_set_parameter downtime-limit abc": "Error: Parameter 'downtime-limit' expects a non-negative number"
    " below 2^64\nOptional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes,"
    " respectively.\n",
    "migrate_set_parameter max-bandwidth 1.5M": "",
    "migrate_set_parameter max-bandwidth abc": "Error: Invalid size abc\n",
    "migrate_set_parameter compress-level 300": "Error: Parameter 'compress-level' expects uint8_t\n",
    "migrate_set_parameter compress-level 3.5": "Error: Parameter 'compress-level' expects uint64\n",
    "migrate_set_parameter cpu-throttle-tailslow maybe": "Error: Parameter 'cpu-throttle-tailslow' expects 'on' or"
    " 'off'\n",
    "migrate_set_parameter multifd-compression foo": "Error: Parameter 'multifd-compression' does not accept value"
    " 'foo'\n",
    "migrate_set_parameter block-bitmap-mapping x": "Error: The block-bitmap-mapping parameter can only be set"
    " through QMP\n",
    "migrate_set_parameter foo 3": "Error: invalid parameter value: foo\n",
    "migrate": 'migrate: string expected\nTry "help migrate" for more information\n',
    "migrate -z": 'migrate: unsupported option -z\nTry "help migrate" for more information\n',
    "migrate -b -d exec:cat": 'migrate: unsupported option -d\nTry "help migrate" for more information\n',
    "migrate foo:1": "Error: Parameter 'uri' expects a valid migration protocol\n",
    "migrate -r unix:/x": "Error: Cannot resume if there is no paused migration\n",
    "migrate_cancel x": 'migrate_cancel: extraneous characters at the end of line\nTry "help migrate_cancel" for more'
    " information\n",
    "migrate_cancel": "",
    "migrate_continue pre-switchover": "Error: Migration not in expected state: failed\n",
    "migrate_continue foo": "Error: invalid parameter value: foo\n",
    "migrate_start_postcopy": "Error: Enable postcopy with migrate_set_capability before the start of migration\n",
    "migrate_pause": "Error: migrate-pause is currently only supported during postcopy-active state\n",
    "migrate_recover unix:/x": "Error: Migrate recover can only be run when postcopy is paused.\n",
    "migrate_incoming unix:/x": "Error: '-incoming' was not specified on the command line\n",
    "migrate unix:/none": "terminal does not allow synchronous migration, continuing detached\n",
    "info migrate x": 'migrate: extraneous characters at the end of line\nTry "help info migrate" for more'
    " information\n",
}
"""Line to what is shown, in this order."""


def shown(client: Client, line: str) -> str:
    """What the human monitor shows, with plain ends of lines."""
    client.send(
        b'{"execute": "human-monitor-command", "arguments": {"command-line": "%b"}}\n' % line.encode()
    )
    message = client.read()
    while "event" in message:
        message = client.read()
    text: str = message["return"]
    return text.replace("\r\n", "\n")


def without_numbers(text: str) -> str:
    """Every number as N."""
    return re.sub(r"\d+(\.\d+)?", "N", text)


def test_the_human_monitor_says_the_same(two: Two) -> None:
    """Refusals, wrong words, settings by their units; and why a migration failed."""
    source = two.start("source")
    assert shown(source, "info migrate") == GLOBALS
    assert {line: shown(source, line) for line in SAID} == SAID
    poll(lambda: "Failed to connect" in shown(source, "info migrate"))
    why = "Migration status: failed (Failed to connect to '/none': No such file or directory)\ntotal time: 0 ms\n"
    assert shown(source, "info migrate") == GLOBALS + why
    listed = shown(source, "info migrate_parameters").splitlines()
    assert listed[0] == "announce-initial: 50 ms"
    assert {"downtime-limit: 500 ms", "max-bandwidth: 1572864 bytes/second", "tls-creds: ''"} <= set(listed)
    assert len(listed) == 24
    assert shown(source, "info migrate_capabilities").splitlines()[:2] == ["xbzrle: on", "rdma-pin-all: off"]


RAM = """
    dirty-pages-rate dirty-sync-count dirty-sync-missed-zero-copy downtime-bytes duplicate mbps multifd-bytes normal
    normal-bytes page-size pages-per-second postcopy-bytes postcopy-requests precopy-bytes remaining skipped total
    transferred
""".split()
IN_FLIGHT = {"status", "total-time", "setup-time", "expected-downtime", "ram"}
OVER = {"status", "total-time", "setup-time", "downtime", "ram"}
SHOWN = """Migration status: {status}
total time: N ms
{downtime}: N ms
setup: N ms
transferred ram: N kbytes
throughput: N mbps
remaining ram: N kbytes
total ram: N kbytes
duplicate: N pages
skipped: N pages
normal: N pages
normal bytes: N kbytes
dirty sync count: N
page size: N kbytes
multifd bytes: N kbytes
pages-per-second: N
"""
BESIDES = {
    "": (set(), ""),
    "xbzrle": (
        {"xbzrle-cache"},
        "cache size: N bytes\nxbzrle transferred: N kbytes\nxbzrle pages: N pages\nxbzrle cache miss: N pages\n"
        "xbzrle cache miss rate: N\nxbzrle encoding rate: N\nxbzrle overflow: N\n",
    ),
    "compress": (
        {"compression"},
        "compression pages: N pages\ncompression busy: N\ncompression busy rate: N\ncompressed size: N kbytes\n"
        "compression rate: N\n",
    ),
    "multifd": (set(), ""),
    "zero-blocks": (set(), ""),
    "release-ram": (set(), ""),
    "auto-converge": (set(), ""),
    "dirty-bitmaps": (set(), ""),
}
"""What there is more with a capability: members, and lines at the end."""


def figures(client: Client, state: str) -> dict[str, Any]:
    """query-migrate's reply in that state."""
    poll(lambda: answer(client, "query-migrate").get("status") == state)
    return answer(client, "query-migrate")


@pytest.mark.parametrize("capability", BESIDES)
def test_figures_are_there_in_each_state(two: Two, capability: str) -> None:
    """Before, active, completed; at the destination the status, and where it listens until it is over."""
    members, lines = BESIDES[capability]
    source, destination = two.both(*filter(None, [capability]))
    assert answer(source, "query-migrate") == {}
    assert answer(destination, "query-migrate").keys() == {"socket-address"}
    where = f"socket address: [\n\tunix:{two.folder}/way\n]\n"
    assert shown(destination, "info migrate") == GLOBALS + where
    done(source, "migrate-set-parameters", max_bandwidth=SLOW)
    done(source, "migrate", uri=two.uri)
    told = figures(source, "active")
    assert told.keys() == IN_FLIGHT | members
    assert sorted(told["ram"]) == RAM
    text = without_numbers(shown(source, "info migrate").removeprefix(GLOBALS))
    assert text.startswith(SHOWN.format(status="active", downtime="expected downtime"))
    assert text.endswith(lines)
    assert figures(destination, "active").keys() == {"status", "socket-address"}
    active = "Migration status: active\ntotal time: 0 ms\n"
    assert shown(destination, "info migrate") == GLOBALS + active + where
    done(source, "migrate-set-parameters", max_bandwidth=1 << 40)
    told = figures(source, "completed")
    assert told.keys() == OVER | members
    assert (sorted(told["ram"]), told["ram"]["remaining"]) == (RAM, 0)
    text = without_numbers(shown(source, "info migrate").removeprefix(GLOBALS))
    assert text.startswith(SHOWN.format(status="completed", downtime="downtime"))
    assert text.endswith(lines)
    assert figures(destination, "completed") == {"status": "completed"}


def test_figures_of_one_that_was_given_up(two: Two) -> None:
    """Nothing but the status."""
    source, _ = two.both()
    done(source, "migrate-set-parameters", max_bandwidth=SLOW)
    done(source, "migrate", uri=two.uri)
    figures(source, "active")
    done(source, "migrate_cancel")
    assert figures(source, "cancelled") == {"status": "cancelled"}
    assert shown(source, "info migrate") == GLOBALS + "Migration status: cancelled\ntotal time: 0 ms\n"


def test_postcopy_is_interrupted_and_goes_on(two: Two) -> None:
    """postcopy-active, paused by a command, recovered over another socket, completed; figures in each.

    The real destination may wait for a page with its monitor: it is not asked before it runs, nor after the pause.
    """
    source, destination = two.both("return-path", "postcopy-ram", "postcopy-blocktime")
    done(source, "migrate-set-parameters", max_bandwidth=SLOW, max_postcopy_bandwidth=SLOW)
    done(source, "migrate", uri=two.uri)
    figures(source, "active")
    done(source, "migrate-start-postcopy")
    told = figures(source, "postcopy-active")
    assert (told.keys(), sorted(told["ram"])) == (IN_FLIGHT, RAM)
    assert status(source) == "finish-migrate"
    poll(lambda: answer(source, "query-migrate")["ram"]["postcopy-requests"] > 0)
    assert "\npostcopy request count: " in shown(source, "info migrate")
    done(source, "migrate-pause")
    assert figures(source, "postcopy-paused").keys() == IN_FLIGHT
    if two.kind == "real":
        return
    assert figures(destination, "postcopy-paused").keys() == {"status", "socket-address"}
    done(destination, "migrate-recover", uri=f"{two.uri}2")
    done(source, "migrate-set-parameters", max_postcopy_bandwidth=0)
    done(source, "migrate", uri=f"{two.uri}2", resume=True)
    assert figures(source, "completed").keys() == OVER
    told = figures(destination, "completed")
    assert told.keys() == {"status", "postcopy-blocktime", "postcopy-vcpu-blocktime"}
    assert without_numbers(shown(destination, "info migrate")).endswith(
        "postcopy blocktime: N\npostcopy vcpu blocktime: N\n"
    )
    assert (status(source), status(destination)) == ("postmigrate", "running")


def test_postcopy_is_cancelled(two: Two) -> None:
    """The guest runs there by then and stands still here, as after a migration; only a paused one stays as it is."""
    source, _ = two.both("return-path", "postcopy-ram")
    done(source, "migrate-set-parameters", max_bandwidth=SLOW, max_postcopy_bandwidth=SLOW)
    done(source, "migrate", uri=two.uri)
    figures(source, "active")
    done(source, "migrate-start-postcopy")
    poll(lambda: answer(source, "query-migrate")["ram"]["postcopy-requests"] > 0)
    done(source, "migrate_cancel")
    assert figures(source, "cancelled") == {"status": "cancelled"}
    assert status(source) == "postmigrate"


def test_credentials_that_are_none_end_it_at_either_end(two: Two) -> None:
    """tls-creds: the migration fails and says why; a destination parts from whoever comes, and waits on."""
    source, _ = two.both()
    done(source, "object-add", qom_type="secret", id="s", data="abc")
    for creds, why in (
        ("s", "Object with id 's' is not TLS credentials"),
        ("x", "No TLS credentials with id 'x'"),
    ):
        done(source, "migrate-set-parameters", tls_creds=creds)
        done(source, "migrate", uri="exec:cat > /dev/null")
        assert figures(source, "failed") == {"status": "failed", "error-desc": why}
    done(source, "migrate", uri=two.uri)
    assert figures(source, "failed") == {"status": "failed", "error-desc": why}
    assert status(source) == "running"
    lonely = two.start("lonely", "-incoming", "defer")
    done(lonely, "migrate-set-parameters", tls_creds="x")
    done(lonely, "migrate-incoming", uri=f"{two.uri}3")
    done(source, "migrate-set-parameters", tls_creds="", max_bandwidth=SLOW)
    done(source, "migrate", uri=f"{two.uri}3")
    figures(source, "failed")
    assert status(source) == "running"
    assert status(lonely) == "inmigrate"
