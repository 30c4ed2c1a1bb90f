"""guests.registry: names, and one sentence for every mistake."""

import subprocess
import sys

import pytest

from qmpemu.guests import registry
from qmpemu.guests.windows import presets, settings


def test_the_names_are_the_presets() -> None:
    """The light list of names and the presets are the same, and the default is one of them."""
    assert registry.names() == list(presets.PRESETS)
    assert registry.DEFAULT in registry.names()


def test_the_registry_is_light() -> None:
    """Importing the registry imports neither the Windows package nor msgspec."""
    code = (
        "import sys, qmpemu.guests.registry as r; r.names(); r.check(r.DEFAULT, {}); "
        "print(sorted({'msgspec', 'typing', 'difflib', 'qmpemu.guests.windows'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", registry.names())
def test_every_preset_is_valid(name: str) -> None:
    """Every preset's own values pass the checks that a user's values get."""
    assert presets.settings(name, {}).PBUTTONACTION == 3


@pytest.mark.parametrize(
    ("guest", "given", "sentence"),
    [
        ("windows-2022", {}, "guest 'windows-2022' does not exist: did you mean 'windows-server-2022'?"),
        ("windws-11", {}, "guest 'windws-11' does not exist: did you mean 'windows-11'?"),
        (
            "windows-10",
            {"pbuttonacton": "1"},
            "setting 'pbuttonacton' of guest 'windows-10' does not exist: did you mean 'PBUTTONACTION'?",
        ),
        (
            "windows-10",
            {"PBUTTONACTION": "9"},
            "setting PBUTTONACTION of guest 'windows-10' cannot be '9': valid is 0 (do nothing), 1 (sleep), "
            "2 (hibernate), 3 (shut down), 4 (turn off the display)",
        ),
        (
            "windows-10",
            {"VIDEOIDLE": "soon"},
            "setting VIDEOIDLE of guest 'windows-10' cannot be 'soon': valid is a whole number from 0 to 86400",
        ),
        (
            "windows-11-cloud",
            {"AutoEndTasks": "1", "QEMU-GA": "on"},
            "setting QEMU-GA of guest 'windows-11-cloud' cannot be 'on': valid is running, hung, stopped, absent",
        ),
        (
            "windows-10",
            {"ComputerName": "a b"},
            "setting ComputerName of guest 'windows-10' cannot be 'a b': valid is 1 to 15 letters, digits or '-'",
        ),
    ],
)
def test_a_mistake_is_one_sentence(guest: str, given: dict[str, str], sentence: str) -> None:
    """A wrong name or value is answered with the place, the value and what would be valid."""
    with pytest.raises(registry.GuestError) as raised:
        registry.check(guest, given)
    assert str(raised.value) == sentence


def test_a_name_like_no_other_lists_all() -> None:
    """Where nothing is near, every valid name is listed."""
    with pytest.raises(registry.GuestError, match=r"valid are windows-10, .*windows-server-2022-cloud$"):
        registry.check("os/2", {})


def test_users_values_win_over_the_preset() -> None:
    """A user can bring back what a tuned preset set away."""
    assert (
        presets.settings("windows-server-2022-cloud", {"ShutdownWithoutLogon": "0"}).ShutdownWithoutLogon == 0
    )


@pytest.mark.parametrize("name", settings.names())
def test_every_setting_explains_itself(name: str) -> None:
    """Every setting has a meaning, a source grade and a sentence about its valid values."""
    _, meta = settings.meta(name)
    assert meta.description
    assert (meta.extra or {})["grade"] in "ABCU"
    assert settings.valid(name)
