"""The QEMU guest agent, inside the guest: JSON on the virtio-serial port `org.qemu.guest_agent.0`.

    host ──bytes──> session (framing, one command at a time) ──> registry (checks) ──> one function of a topic file

Each topic file holds thin commands; what they tell and do comes from the guest (`host.Host`). Framing, order of
checks and texts of the common part were measured on the real agent 7.2.22; the commands are those that it has on
Windows, with the texts of that build.
"""
