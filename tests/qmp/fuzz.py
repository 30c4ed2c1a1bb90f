"""`make fuzz`: mutated input for the QMP session, a million of them. What it finds becomes a case in corpus.py.

Each input is a few cases of the corpus, glued and mutated byte by byte, cut into chunks at random. It must never raise,
every answer must be a line of JSON, quick and exact path must answer alike, and after it a client is served as ever.
The seed is printed with the input that failed; the same seed gives the same inputs.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time

from corpus import BROKEN, ENVELOPES, IDS, RECOVERY

from qmpemu.edge.conform.arguments import mutate
from qmpemu.qmp.lexer import Lexer
from qmpemu.qmp.session import Session

CORPUS = [*IDS, *ENVELOPES, *[case for case in BROKEN if len(case) < 2000]]
ANSWER = b'{"return": {}, "id": "recovered"}\r\n'


def mutated(pick: random.Random) -> bytes:
    """One input."""
    return mutate(pick, b"".join(pick.choice(CORPUS) for _ in range(pick.randrange(1, 4))))


class Pair:
    """Two sessions, one with each path of the lexer."""

    def __init__(self) -> None:
        self.sessions = [self._session(), self._session()]

    def _session(self) -> Session:
        known = {"query-name", "query-status", "stop", "human-monitor-command"}
        return Session(b"{}", lambda name, arguments: {}, commands=known.__contains__, oob="yank".__eq__)

    def answers(self, chunks: list[bytes]) -> list[bytes]:
        """What each says to the same chunks."""
        found = []
        for session, quick in zip(self.sessions, (True, False), strict=True):
            session.open()
            session._lexer = Lexer(quick=quick)
            session.receive(b'{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}')
            session.take()
            for chunk in chunks:
                session.receive(chunk)
            found.append(session.take())
        return found


def check(pair: Pair, data: bytes, pick: random.Random) -> None:
    """Feed one input and look at the answers. Raises AssertionError."""
    whole, chunks = data + RECOVERY, []
    while whole:
        size = pick.choice((1, 7, 64, 4096))
        chunks.append(whole[:size])
        whole = whole[size:]
    quick, exact = pair.answers(chunks)
    assert quick == exact, f"the paths differ:\n  quick {quick!r}\n  exact {exact!r}"
    assert quick.endswith(ANSWER), f"not recovered: {quick[-200:]!r}"
    for line in quick.splitlines():
        json.loads(line)


def main() -> int:
    """Run; 1 when an input failed, after printing it."""
    parser = argparse.ArgumentParser(description="mutated input for the QMP session")
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    pick, pair, began = random.Random(given.seed), Pair(), time.perf_counter()
    for number in range(given.inputs):
        data = mutated(pick)
        try:
            check(pair, data, pick)
        except Exception as error:
            print(
                f"seed {given.seed}, input {number}: {data!r}\n{type(error).__name__}: {error}",
                file=sys.stderr,
            )
            return 1
    seconds = time.perf_counter() - began
    rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{given.inputs} inputs in {seconds:.0f} s, all answered, at most {rss_mib:.0f} MiB resident")
    return 0


if __name__ == "__main__":
    sys.exit(main())
