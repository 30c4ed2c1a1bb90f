"""machine.migration: whatever comes instead of a whole stream, the destination ends with one sentence and a reason."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from qmpemu.machine.migration import stream
from qmpemu.machine.migration.link import Link
from tests.driven import Driven
from tests.machine.travelling import LINE, Lane

if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.machine.machine import Machine
    from qmpemu.machine.migration.address import Address


class Tape(Link):
    """Keeps what is sent."""

    def __init__(self, lane: Lane) -> None:
        super().__init__()
        self.data = b""
        self._lane = lane

    def send(self, data: bytes) -> None:
        self.data += data
        self._lane.at(1, lambda: self.on_drained())


class Recorder(Lane):
    """A host that has a tape at every address."""

    tape: Tape

    def connect(self, address: Address, machine: Machine, tell: Callable[[Link | str], object]) -> None:
        self.tape = Tape(self)
        self.at(1, lambda: tell(self.tape))


@cache
def whole() -> bytes:
    """A stream of a Windows with an open document, as it is saved to a file."""
    lane = Recorder()
    lane.driven = source = Driven(LINE, lane, QMPEMU_GUEST="windows-10")
    source.run(60)
    source.say("__org.qmpemu_edit_document", value="A.docx")
    source.say("migrate", uri="exec:cat > /tape")
    source.run(5)
    assert source.say("query-migrate")[-1]["return"]["status"] == "completed"
    return lane.tape.data


@cache
def sections() -> dict[int, bytes]:
    """Its sections' content, by kind."""
    return dict(stream.Reader().feed(whole()))


class Destination:
    """A machine that waits, and is given `data` in pieces and the end of file."""

    def __init__(self, data: bytes, piece: int = 1 << 20) -> None:
        self.lane = Lane()
        self.lane.driven = self.machine = Driven(LINE + " -incoming defer", self.lane)
        self.machine.say("migrate-incoming", uri="exec:cat /tape")
        link = Link()
        assert self.lane.accept is not None
        self.lane.accept(link)
        for at in range(0, len(data), piece):
            link.on_data(data[at : at + piece])
        link.on_end("")

    @property
    def arrived(self) -> bool:
        """Whether the guest is there; if it is not, all is as it has to be."""
        said, board = self.lane.said, self.machine.vm.machine.board
        if self.machine.vm.exit_status is None:
            assert (said, board.runstate) == ([], "running")
            return True
        assert self.machine.vm.exit_status == 1
        assert board.runstate != "running"
        assert len(said) == 2, said
        assert said[1].startswith("load of migration failed: "), said
        return False


def test_a_whole_stream_arrives_in_pieces_of_any_size() -> None:
    """And the guest with its document."""
    for piece in (1, 7, 100, 1 << 20):
        there = Destination(whole(), piece)
        assert there.arrived
        assert there.machine.say("__org.qmpemu_save_document", value="A.docx")[-1] == {"return": {}}


NOT_ONE = ("Not a migration stream", "Invalid argument")
CUT = ("the migration stream ended before the guest had arrived", "Input/output error")
DAMAGED = ("a section of the migration stream is damaged", "Invalid argument")
FOREIGN: dict[str, tuple[Callable[[], bytes], tuple[str, str]]] = {
    "an empty file": (lambda: b"", NOT_ONE),
    "a text file": (lambda: b"Dear reader, this is no guest.\n" * 50, NOT_ONE),
    "a stream of QEMU": (lambda: b"QEVM\0\0\0\3\7\0\0\0\npc-q35-7.2\1" + bytes(500), NOT_ONE),
    "zeroes": (lambda: bytes(5000), NOT_ONE),
    "half a header": (lambda: whole()[:5], NOT_ONE),
    "no version": (
        lambda: whole()[:9],
        ("Unsupported migration stream version", "Operation not supported"),
    ),
    "another version": (
        lambda: stream.MAGIC + bytes([0, 0, 0, 9]) + whole()[12:],
        ("Unsupported migration stream version 9, this qmpemu reads 1", "Operation not supported"),
    ),
    "a header alone": (lambda: stream.header(), ("Configuration section missing", "Invalid argument")),
    "no configuration": (
        lambda: stream.header() + stream.section(stream.STATE, sections()[stream.STATE]),
        ("Configuration section missing", "Invalid argument"),
    ),
    "no guest": (
        lambda: stream.header() + framed(stream.CONFIG) + stream.section(stream.END),
        ("the migration stream has no guest in it", "Invalid argument"),
    ),
    "half a stream": (lambda: whole()[: len(whole()) // 2], CUT),
    "all but a byte": (lambda: whole()[:-1], CUT),
    "a huge section": (lambda: stream.header() + b"\1\xff\xff\xff\xff" + bytes(90), DAMAGED),
    "an unknown section": (lambda: stream.header() + stream.section(77), DAMAGED),
    "a bomb": (
        lambda: stream.header() + stream.section(stream.CONFIG, bomb()),
        DAMAGED,
    ),
    "a source that gave up": (
        lambda: whole()[: -len(stream.section(stream.END))] + stream.section(stream.KEPT),
        ("the source keeps the guest", "Invalid argument"),
    ),
}


def framed(kind: int) -> bytes:
    """A section of the whole stream."""
    return stream.section(kind, sections()[kind])


@cache
def bomb() -> bytes:
    """A little that becomes a lot."""
    from zlib import compress

    return compress(b'{"a": "' + b"a" * (stream.STATE_BYTES_MAX + 1) + b'"}')


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_no_stream_of_ours_is_refused_with_one_sentence(what: str) -> None:
    """QEMU's own where it has one, and QEMU's reason."""
    data, (text, reason) = FOREIGN[what]
    there = Destination(data())
    assert not there.arrived
    assert there.lane.said == [text, f"load of migration failed: {reason}"]


def test_cut_short_after_any_byte_nothing_arrives() -> None:
    """Whatever the pieces it comes in."""
    data = whole()
    for length in range(0, len(data), 3):
        assert not Destination(data[:length], 50).arrived, length


@given(at=some.floats(0, 1), byte=some.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_with_any_byte_changed_nothing_arrives(at: float, byte: int) -> None:
    """Header, frames and contents alike; but in PAGES, which only count, a kind may turn into another harmless one."""
    data = bytearray(whole())
    place = int(at * (len(data) - 1))
    data[place] ^= byte
    assert not Destination(bytes(data)).arrived or place_is_a_kind(place), place


def place_is_a_kind(place: int) -> bool:
    """Whether it is the byte that says what section follows, which its checksum does not cover."""
    at, data = stream.HEADER_BYTES, whole()
    while at < len(data):
        if at == place:
            return True
        at += stream.FRAME_BYTES + int.from_bytes(data[at + 1 : at + 5], "big")
    return False


PAYLOADS = some.sampled_from([stream.CONFIG, stream.STATE, 0, -1, -2]).map(
    lambda kind: (
        {
            0: b"",
            -1: b"junk",
            -2: stream.packed({}),
        }.get(kind)
        if kind <= 0
        else sections()[kind]
    )
)


@given(order=some.lists(some.tuples(some.integers(1, 10), PAYLOADS), max_size=7))
@settings(max_examples=80, deadline=None)
def test_sections_in_any_order_never_make_it_run_half(order: list[tuple[int, bytes]]) -> None:
    """Well framed, in any order and with any content: the guest is whole, or is refused."""
    data = stream.header() + framed(stream.CONFIG) + b"".join(stream.section(*each) for each in order)
    there = Destination(data)
    if there.machine.vm.exit_status is None and there.machine.say("query-migrate")[-1]["return"][
        "status"
    ] == ("postcopy-paused"):
        return
    if there.arrived:
        assert there.machine.say("__org.qmpemu_save_document", value="A.docx")[-1] == {"return": {}}


def test_no_more_links_are_kept_than_a_migration_can_have() -> None:
    """A peer that connects over and over is parted from, and the stream is still taken."""
    lane = Lane()
    lane.driven = machine = Driven(LINE + " -incoming defer", lane)
    machine.say("migrate-incoming", uri="tcp:here:1")
    links = [Parting() for _ in range(300)]
    assert lane.accept is not None
    for each in links:
        lane.accept(each)
    assert [each.parted for each in links] == [False] * 256 + [True] * 44
    links[7].on_data(whole())
    assert machine.say("query-migrate")[-1]["return"]["status"] == "completed"


class Parting(Link):
    """Knows whether it was closed."""

    parted = False

    def close(self) -> None:
        self.parted = True


def test_a_guest_or_setting_that_is_not_known_here_is_refused() -> None:
    """As one sent by a later qmpemu; what is wrong is named."""
    good = stream.unpacked(sections()[stream.STATE])
    origin = good["boot"]["origin"]
    for change, text in (
        ({"guest": "windows-13"}, "guest 'windows-13' does not exist"),
        ({"settings": {"Colour": "red"}}, "setting 'Colour' of guest 'windows-10' does not exist"),
        ({"disk": "no disk"}, "the disk state is not one of a Windows guest"),
    ):
        state = {**good, "boot": {**good["boot"], "origin": {**origin, **change}}}
        bad = stream.section(stream.STATE, stream.packed(state))
        there = Destination(whole().replace(framed(stream.STATE), bad))
        assert not there.arrived
        assert there.lane.said[0].startswith(f"the guest cannot be loaded here: {text}")


WRONG = (None, -1, 0, 1 << 40, 1 << 61, 1 << 70, "", "x", [], {}, True, 3.5, [[]], {"a": None})


def spoilt(data: Any, dice: Random) -> Any:
    """The same with one value or member, somewhere, that is another."""
    if isinstance(data, dict) and data and dice.random() < 0.85:
        name = dice.choice(sorted(data))
        if dice.random() < 0.1:
            return {key: value for key, value in data.items() if key != name}
        return {**data, name: spoilt(data[name], dice)}
    if isinstance(data, list) and data and dice.random() < 0.85:
        place = dice.randrange(len(data))
        return [*data[:place], spoilt(data[place], dice), *data[place + 1 :]]
    return dice.choice(WRONG)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", [stream.CONFIG, stream.STATE])
def test_a_state_with_a_wrong_value_is_refused_or_is_harmless(kind: int) -> None:
    """Well packed, and wrong in one place: one sentence, no crash, no endless loop."""
    good = stream.unpacked(sections()[kind])
    for seed in range(150):
        bad = stream.section(kind, stream.packed(spoilt(good, Random(seed))))
        data = whole().replace(framed(kind), bad)
        there = Destination(data)
        if there.machine.vm.exit_status is None:
            assert there.lane.said == [], seed
            there.machine.run(60)
        else:
            assert there.lane.said[-1].startswith("load of migration failed: "), seed
