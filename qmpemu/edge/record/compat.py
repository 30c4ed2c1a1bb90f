"""Records what older machine types give devices otherwise: properties that are not as in the newest type.

One of each recorded device is put into machines of every type, newest first, and `info qtree` read; what it shows
otherwise than in the newest type is asked for by qom-get. Devices that do not go together, or not with a type, are
found by halves, and stay apart from then on.

One file: beginning of machine types' names -> [version, class -> property -> value], newest version first, each
version's on top of those before it; null where it is as in the newest type again. A class stands for all types below it
that have the property. The beginning is empty for what was measured on PCs, which is true of each board; what only a
Q35 board has is told of that.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qemu.qmp import ExecuteError

from qmpemu.edge.record.process import RecordError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from qemu.qmp import QMPClient

    Start = Callable[..., AbstractAsyncContextManager[tuple[QMPClient, bytes]]]
    Shown = dict[tuple[str, str], str]
    """Type and property -> as text."""
    Values = dict[str, dict[str, Any]]
    """Type or class -> property -> value."""
    Steps = list[tuple[str, Values]]

HOME = "/machine/peripheral"
ROOTS = {"q35": "pcie.0", "pc": "pci.0"}
NAMES = re.compile(r"\b(dev0|back|ctl|port0|up0|usb)\b(?!-)")
"""Ids in recipes."""
DEVICE = re.compile(r'^ *dev: ([^,]+), id "([^"]*)"$')
PROPERTY = re.compile(r"^ *([^ =]+) = (.*)$")
ITS_OWN = frozenset(
    "mac memaddr sas_address cad addr bus irq osk drive fsdev chardev memdev netdev bmc".split()
)
"""Properties that tell one device from another."""
FIRST_SLOT, FUNCTIONS = 3, 8
PROCESSORS = ("-smp", "2")
"""More than one, since newer devices have a queue for each."""
PORT = "pcie-port"
"""The class of ports, which differ on the board that has a place for them."""
BEHIND = "virtio-backend"
"""A part of a device that has properties of its own, which are seen in the device."""
ACPI = frozenset(("ICH9-LPC", "PIIX4_PM"))
"""Types that have properties that `info qtree` does not show."""
PLAIN = re.compile("bool|u?int\\d+")


async def all_steps(
    names: list[str], recordings: list[tuple[str, str, bool]], start: Start, parents: dict[str, str]
) -> dict[str, Steps]:
    """The whole file. names: machine types; parents: type -> the class above it."""
    ports = {kind for kind, *_ in recordings if PORT in _above(kind, parents)}
    pc = Family("pc", pieces((each for each in recordings if each[0] not in ports), "pc"), start)
    common = await _steps_of(pc, "pc-i440fx-", names, parents)
    known = {kind for kind, _ in pc.usual}
    left = [each for each in recordings if each[0] not in known]
    q35 = Family("q35", pieces(left, "q35"), start, known)
    further = await _steps_of(q35, "pc-q35-", names, parents)
    for name in sorted(name for name in names if name.startswith("pc-q35-")):
        version = name.removeprefix("pc-q35-")
        if f"pc-i440fx-{version}" not in names:  # what holds there of each device
            every = Family("q35", pieces(recordings, "q35"), start)
            await _look(every)
            further.append((version, gathered(await every.values(name), every.usual, parents)))
    return {"": common, "pc-q35-": _without(sorted(further, key=lambda step: age(step[0])), common, parents)}


async def _steps_of(family: Family, beginning: str, names: list[str], parents: dict[str, str]) -> Steps:
    await _look(family)
    machines = sorted((name for name in names if name.startswith(beginning)), key=age)
    values = [(name.removeprefix(beginning), await family.values(name)) for name in machines]
    return [(version, gathered(changed, family.usual, parents)) for version, changed in steps(values)]


async def _look(family: Family) -> None:
    """Look at the newest type, with as few groups as there may be."""
    await family.values(family.name)
    await family.join(family.name)
    family.usual.clear()
    await family.values(family.name)


def _without(further: Steps, common: Steps, parents: dict[str, str]) -> Steps:
    """Steps without what follows from others, that are taken before."""
    found: Steps = []
    for version, given in further:
        said: Values = {}
        for earlier, values in common:
            if age(earlier) <= age(version):
                for kind, each in values.items():
                    said.setdefault(kind, {}).update(each)
        left: Values = {}
        for kind, values in given.items():
            implied: dict[str, Any] = {}
            for above in reversed([kind, *_above(kind, parents)]):
                implied |= said.get(above, {})
            own = {name: value for name, value in values.items() if implied.get(name, ...) != value}
            left |= {kind: own} if own else {}
        found += [(version, left)] if left else []
    return found


class Piece:
    """A recorded device as one of many: its words with ids of its own, by its number."""

    def __init__(self, number: int, kind: str, words: list[str], *, is_pci: bool) -> None:
        self.number = number
        self.kind = kind
        self.id = f"d{number}"
        own = [NAMES.sub(lambda match: f"{match[0]}n{number}", word) for word in words]
        self.words = [word.replace(f"dev0n{number}", self.id) for word in own]
        self.is_pci = is_pci and ",bus=" not in self.words[-1]

    def placed(self, root: str) -> list[str]:
        """With a place on the root bus that no other has."""
        if not self.is_pci:
            return self.words
        slot, function = divmod(self.number, FUNCTIONS)
        place = f",bus={root},addr={FIRST_SLOT + slot:x}.{function},multifunction=on"
        return [*self.words[:-1], self.words[-1] + place]


def pieces(recordings: Iterable[tuple[str, str, bool]], family: str) -> list[Piece]:
    """Of each recorded device, by type, words and whether it is a PCI function, those for that family's machines."""
    found: list[Piece] = []
    for kind, recording, is_pci in recordings:
        words = recording.split()[6:]  # after what every recording begins with
        if words[:2] == ["-machine", "pc"] and family == "pc":
            words = words[2:]
        if "-machine" not in words:
            found.append(Piece(len(found), kind, words, is_pci=is_pci))
    return found


class Family:
    """The machines of one family, one version after the other. name: alias of the newest; known: types to leave out."""

    def __init__(
        self, name: str, parts: list[Piece], start: Start, known: Iterable[str] = frozenset()
    ) -> None:
        self.name = name
        self._start = start
        self._known = frozenset(known)
        self._groups = [parts]
        self._kinds = {each.kind for each in parts}
        self._board: dict[str, str] = {}
        self._last: Values = {}
        self._asked: dict[tuple[str, str, str], Any] = {}
        """Type, property and text -> value."""
        self.usual: Shown = {}
        """What the newest type shows."""

    async def values(self, machine: str) -> Values:
        """What a machine's type gives otherwise than the newest one, which is asked first."""
        found: Values = {}
        is_newest, seen = not self.usual, set[str]()
        groups, self._groups = self._groups, []
        async for client, group in self._started(machine, groups):
            self._board = self._board or await _board(client)
            shown, behind = _parsed(str(await _human(client, "info qtree")), group, self._kinds)
            shown |= await self._beside(client)
            shown = {about: text for about, text in shown.items() if about[0] not in self._known}
            seen.update(kind for kind, _ in shown)
            if is_newest:
                self.usual.update(shown)
            else:
                paths = {each.kind: f"{HOME}/{each.id}" for each in group}
                await self._ask(client, {**self._board, **behind, **paths}, shown, found)
        found |= {kind: given for kind, given in self._last.items() if kind not in seen}
        self._last = found
        return found

    async def _beside(self, client: QMPClient) -> Shown:
        """What the board's ACPI has beside what is shown."""
        found: Shown = {}
        for kind in ACPI & self._board.keys():
            rows: Any = await client.execute("qom-list", {"path": self._board[kind]})
            for row in rows:
                if PLAIN.fullmatch(row["type"]):
                    asked = {"path": self._board[kind], "property": row["name"]}
                    with suppress(ExecuteError):  # some can only be set
                        value = await client.execute("qom-get", asked)
                        found[kind, row["name"]] = str(value)
        return found

    async def _ask(self, client: QMPClient, paths: dict[str, str], shown: Shown, found: Values) -> None:
        """Put the values of what is shown otherwise into `found`."""
        for (kind, name), text in shown.items():
            if self.usual.get((kind, name), text) == text or name in ITS_OWN or kind not in paths:
                continue
            about = kind, name, text
            if about not in self._asked:
                asked = {"path": paths[kind], "property": name}
                self._asked[about] = await client.execute("qom-get", asked)
            found.setdefault(kind, {})[name] = self._asked[about]

    async def join(self, machine: str) -> None:
        """Have as few groups as there may be: each piece joins the first in which it can be."""
        groups = sorted(self._groups, key=len, reverse=True)
        self._groups = groups[:1]
        for group in groups[1:]:
            for number, other in enumerate(self._groups):
                with suppress(RecordError):
                    async with self._start(machine, "tcg", *self._words(other + group)):
                        self._groups[number] = other + group
                        break
            else:
                self._groups.append(group)

    async def _started(
        self, machine: str, groups: list[list[Piece]]
    ) -> AsyncIterator[tuple[QMPClient, list[Piece]]]:
        while groups:
            group = groups.pop(0)
            try:
                async with self._start(machine, "tcg", *self._words(group)) as (client, _):
                    yield client, group
                self._groups.append(group)
            except RecordError:
                half = len(group) // 2
                groups = [each for each in (group[:half], group[half:]) if half] + groups

    def _words(self, group: list[Piece]) -> list[str]:
        return [*PROCESSORS, *(word for each in group for word in each.placed(ROOTS[self.name]))]


async def _human(client: QMPClient, line: str) -> Any:
    return await client.execute("human-monitor-command", {"command-line": line})


async def _board(client: QMPClient) -> dict[str, str]:
    """Type -> the path of the first object of it."""
    found: dict[str, str] = {}
    paths = ["/machine"]
    for path in paths:
        rows: Any = await client.execute("qom-list", {"path": path})
        for row in rows:
            if row["type"].startswith("child<") and not row["name"].startswith("peripheral"):
                paths.append(f"{path}/{row['name']}")
                found.setdefault(row["type"][6:-1], paths[-1])
    return found


def _parsed(text: str, group: list[Piece], kinds: set[str]) -> tuple[Shown, dict[str, str]]:
    """What is shown of the added devices, of what is behind their buses, and of the board's first of each type.

    And where what is behind stands: type -> path. kinds: of all pieces, those of other groups as well.
    """
    found: Shown = {}
    behind: dict[str, str] = {}
    ids, seen = {each.id: each.kind for each in group}, set(kinds)
    kind, owner = "", ""
    for line in text.splitlines():
        if match := DEVICE.match(line):
            named, identity = match.groups()
            owner = identity or owner
            is_first = not identity and named not in seen
            kind = named if ids.get(identity) == named or is_first else ""
            seen.add(named)
            if is_first and named.startswith("virtio-"):
                behind[named] = f"{HOME}/{owner}/{BEHIND}"
        elif kind and (match := PROPERTY.match(line)):
            found[kind, match[1]] = match[2]
    return found, behind


def steps(values: list[tuple[str, Values]]) -> Steps:
    """Of what each version gives, newest first, what changes from one to the next; None for what is as usual again."""
    found: Steps = []
    now: Values = {}
    for version, given in values:
        changed: Values = {}
        for kind in {*now, *given}:
            before, after = now.get(kind, {}), given.get(kind, {})
            for name in {*before, *after}:
                value = after.get(name)
                if before.get(name) != value:
                    changed.setdefault(kind, {})[name] = value
        now = given
        if changed:
            found.append((version, changed))
    return found


def age(machine: str) -> list[int]:
    """A key that puts newer types of a family first."""
    numbers = [-int(part) for part in machine.rpartition("-")[2].split(".")]
    return [*numbers, 0, 0][:3]


def gathered(given: Values, shown: Iterable[tuple[str, str]], parents: dict[str, str]) -> Values:
    """The same by classes: one stands for all types below it that were seen to have the property, and got the value."""
    having: dict[str, set[str]] = {}
    for kind, name in shown:
        having.setdefault(name, set()).add(kind)
    found: Values = {}
    for kind, values in given.items():
        for name, value in values.items():
            same = {each for each, other in given.items() if name in other and other[name] == value}
            top, covered = kind, {kind}
            for above in _above(kind, parents):
                below = {each for each in having[name] if above in _above(each, parents)}
                if not below <= same:
                    break
                if below > covered:
                    top, covered = above, below
            found.setdefault(top, {})[name] = value
    return {kind: dict(sorted(values.items())) for kind, values in sorted(found.items())}


def _above(kind: str, parents: dict[str, str]) -> list[str]:
    """The classes above a type, from the next one up."""
    found = []
    while kind in parents:
        kind = parents[kind]
        found.append(kind)
    return found
