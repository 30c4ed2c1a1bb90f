"""QMP as a protocol, sans-IO: bytes <-> JSON values, negotiation, ids, argument checks. No machine is known here."""
