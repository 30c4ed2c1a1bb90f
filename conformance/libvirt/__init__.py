"""Scenarios under a real libvirt: tables of virsh lines, played on ours and on the real QEMU, their logs compared."""
