"""qmpemu: a QEMU without a virtual CPU, whose simulated Windows guest decides what a shutdown request becomes.

The floors, lowest first (a file imports only from lower floors and from its own folder):

    core        clock, transition tables, facts: no domain words
    qmp, acpi   bytes <-> messages; PM1, GPE, SCI, sleep types
    machine     the hardware side: run state, board, devices          guests   the software side: Windows
    commands    QMP and HMP commands: thin, one decorated function each
    vm          one machine wired together
    edge        sockets, descriptors, signals, files, the wall clock; the two command lines
"""

__version__ = "0.1.0"
