"""core.table: legal moves, refusals, the diagram."""

import pytest

from qmpemu.core.table import Refused, Table

DOOR = Table("the door", {"open": {"close": "closed"}, "closed": {"open": "open", "lock": "locked"}})


def test_a_legal_move_gives_the_next_state() -> None:
    """Moves are looked up by state and input."""
    assert DOOR.next("closed", "lock") == "locked"
    assert DOOR.allows("open", "close")
    assert not DOOR.allows("locked", "open")


def test_an_illegal_move_is_one_sentence_that_names_both() -> None:
    """The refusal names the state and the input."""
    with pytest.raises(Refused, match=r"^the door cannot take 'lock' in the state 'open'$"):
        DOOR.next("open", "lock")


def test_the_diagram_has_a_row_for_each_move() -> None:
    """The diagram is drawn from the table."""
    assert DOOR.diagram().splitlines()[1:] == [
        "    open --> closed: close",
        "    closed --> open: open",
        "    closed --> locked: lock",
    ]
    assert DOOR.states() == ["open", "closed", "locked"]
