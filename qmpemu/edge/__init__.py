"""The edge: sockets, descriptors, signals, files, the wall clock, and the two command lines. All I/O lives here."""
