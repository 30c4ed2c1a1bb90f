"""The simulated Windows: boots, obeys or ignores the power button, and shuts down in Windows' own order."""
