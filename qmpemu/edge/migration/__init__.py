"""The ways a migration takes through the host: descriptors, sockets, pipes to commands, files."""
