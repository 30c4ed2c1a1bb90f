"""A VNC server of our own: RFB 3.3, 3.7 and 3.8 over TCP and UNIX sockets.

    listen   -vnc's addresses, and the sockets of it       client   one connection: handshake, then its messages
    server   accepts, shares, and sends what has changed   pixels   pixel formats and encodings
    des      VNC authentication                            keysyms  what a client calls a key -> QEMU's name

Nothing is drawn, and Pillow is not imported, before a client asks for a picture.
"""
