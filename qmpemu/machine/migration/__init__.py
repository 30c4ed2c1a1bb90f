"""Migration: the machine's state as data, the stream it travels in, the two ends, and what they tell of themselves."""
