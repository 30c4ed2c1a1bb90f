"""The hardware side of one machine: run state, request flags, processor, devices."""
