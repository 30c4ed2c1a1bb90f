"""Migration parameters: the recorded defaults, what has been changed, and what QEMU 7.2 refuses (measured)."""

from __future__ import annotations

from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RANGES = {
    "compress-level": (0, 9, "a value between 0 and 9"),
    "compress-threads": (1, 255, "a value between 1 and 255"),
    "decompress-threads": (1, 255, "a value between 1 and 255"),
    "throttle-trigger-threshold": (1, 100, "an integer in the range of 1 to 100"),
    "cpu-throttle-initial": (1, 99, "an integer in the range of 1 to 99"),
    "cpu-throttle-increment": (1, 99, "an integer in the range of 1 to 99"),
    "max-cpu-throttle": (1, 99, "an integer in the range of cpu_throttle_initial to 99"),
    "downtime-limit": (0, 2_000_000, "an integer in the range of 0 to (2000 * 1000) ms"),
    "multifd-channels": (1, 255, "a value between 1 and 255"),
    "announce-initial": (0, 100_000, "a value between 0 and 100000"),
    "announce-max": (0, 100_000, "a value between 0 and 100000"),
    "announce-rounds": (0, 1000, "a value between 0 and 1000"),
    "announce-step": (1, 10_000, "a value between 0 and 10000"),
}
"""Least, most, and QEMU's words for both."""
TEXTS = ("tls-creds", "tls-hostname", "tls-authz")
"""Null and the empty string switch these off."""
IGNORED = ("multifd-zlib-level", "multifd-zstd-level")
"""What QEMU 7.2 takes without an error, and does not set."""
PAGE_BYTES = 4096


class Parameters:
    """Read by name: `parameters["max-bandwidth"]`."""

    def __init__(self, defaults: dict[str, Any]) -> None:
        self._values = dict(defaults)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def all(self) -> dict[str, Any]:
        """As query-migrate-parameters shows them."""
        return dict(self._values)

    def change(self, given: dict[str, Any]) -> None:
        """Set them, all or none. Raises QmpError."""
        given = {name: value for name, value in given.items() if name not in IGNORED}
        wanted = {**self._values, **given}
        for name in TEXTS:
            wanted[name] = wanted[name] or ""
        for name in given:
            self._check(name, wanted)
        self._values = wanted

    @staticmethod
    def _check(name: str, wanted: dict[str, Any]) -> None:
        value = wanted[name]
        if name in RANGES:
            least, most, words = RANGES[name]
            if name == "max-cpu-throttle":
                least = wanted["cpu-throttle-initial"]
            if not least <= value <= most:
                raise QmpError(f"Parameter '{name.replace('-', '_')}' expects {words}")
        elif name == "block-bitmap-mapping":
            _check_mapping(value)
        elif name == "xbzrle-cache-size" and (value < PAGE_BYTES or value & (value - 1)):
            raise QmpError(
                "Parameter 'xbzrle_cache_size' expects a power of two no less than the target page size"
            )


def _check_mapping(rows: list[dict[str, Any]]) -> None:
    """Names and aliases once each, aliases well-formed. Raises QmpError."""
    from re import fullmatch

    wrong = "Invalid mapping given for block-bitmap-mapping: "
    nodes: set[str] = set()
    aliases: set[str] = set()
    for row in rows:
        if not fullmatch("[A-Za-z][A-Za-z0-9._-]*", row["alias"]):
            raise QmpError(f"{wrong}The node alias '{row['alias']}' is not well-formed")
        if row["node-name"] in nodes:
            raise QmpError(f"{wrong}The node name '{row['node-name']}' is mapped twice")
        if row["alias"] in aliases:
            raise QmpError(f"{wrong}The node alias '{row['alias']}' is used twice")
        nodes.add(row["node-name"])
        aliases.add(row["alias"])
