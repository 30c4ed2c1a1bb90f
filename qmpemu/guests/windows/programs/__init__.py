"""Programs that guest-exec can start in the simulated Windows: one decorated function each, found by its file name."""
