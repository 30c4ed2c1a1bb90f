"""TLS for migrations, VNC, character devices: Python's `ssl` between two buffers, served by the emulator's own loop.

    loading       the objects that are credentials           session   one connection's handshake and records
    credentials   a directory of PEM files                   peer      whom the other end's certificate is for
    certificate   what QEMU looks at in an X.509 certificate

Nothing here is imported before somebody makes credentials: `ssl` takes 10 ms.
"""
