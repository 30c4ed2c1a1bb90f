"""How a Windows fails to shut down: one file is one failure mode; its decorator makes its row and its test.

A new one: a file in this folder with one function decorated with `registry.fault`. Nothing else has to be edited.
"""
