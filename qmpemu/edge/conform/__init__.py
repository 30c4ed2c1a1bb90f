"""`qmpemu conform`: the conformance suite, for any QMP server.

    cases (transcripts) ──player──> target (a binary, a socket, a recording) ──> transcript
    transcript ──judge──> claims of the case, bytes of the recording, ledger ──> report

Cases, recordings and the ledger are data: the folder `conformance` of the source tree, which a wheel holds as well.
"""
