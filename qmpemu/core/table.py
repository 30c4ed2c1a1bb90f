"""A transition table: `(state, input) -> state`. Legality is data; effects are code elsewhere (h11's rule).

A move that is not in the table is refused in one sentence that names both, and nothing changes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Refused(Exception):
    """An illegal move. The text names the state and the input; hint: a further line for people at a terminal."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


class Table:
    """Legal moves of one state machine, by name."""

    __slots__ = ("moves", "name")

    def __init__(self, name: str, moves: Mapping[str, Mapping[str, str]]) -> None:
        self.name = name
        self.moves = moves

    def allows(self, state: str, given: str) -> bool:
        """Whether `given` is a legal input in `state`."""
        return given in self.moves.get(state, {})

    def next(self, state: str, given: str) -> str:
        """The state after `given`. Raises Refused."""
        try:
            return self.moves[state][given]
        except KeyError:
            raise Refused(f"{self.name} cannot take '{given}' in the state '{state}'") from None

    def states(self) -> list[str]:
        """Every state that occurs, in order of appearance."""
        seen = dict.fromkeys(self.moves)
        seen.update(dict.fromkeys(to for row in self.moves.values() for to in row.values()))
        return list(seen)

    def diagram(self) -> str:
        """The table as a Mermaid state diagram."""
        rows = [f"    {a} --> {b}: {given}" for a, row in self.moves.items() for given, b in row.items()]
        return "\n".join(["stateDiagram-v2", *rows]) + "\n"
