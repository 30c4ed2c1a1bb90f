"""The outside view: cases and measurements that run against ours and against the real QEMU alike."""
