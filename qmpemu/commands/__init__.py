"""QMP and HMP commands, one file per QAPI module, found by their decorators (`registry`)."""
