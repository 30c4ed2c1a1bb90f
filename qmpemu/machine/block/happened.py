"""What a real block layer tells on its own: one fact per QMP event, its data as it was told."""

from __future__ import annotations

from qmpemu.core.facts import Fact


class BlockFact(Fact):
    """told: the event's data."""

    told: dict[str, object]


class JobStatusChanged(BlockFact):
    """A job went on to its next status."""


class BlockJobReady(BlockFact):
    """A job can be completed."""


class BlockJobCompleted(BlockFact):
    """A job is over, with or without an error."""


class BlockJobCancelled(BlockFact):
    """A job was cancelled."""


class BlockJobFailed(BlockFact):
    """A job met an I/O error."""


class BlockJobPending(BlockFact):
    """A job waits to be finalized."""


class BlockExportDeleted(BlockFact):
    """An export is gone."""


class WriteThresholdExceeded(BlockFact):
    """A write went beyond a node's threshold."""


class ImageCorrupted(BlockFact):
    """An image was found corrupt."""


class QuorumFailed(BlockFact):
    """A quorum node could not agree."""


class QuorumReported(BlockFact):
    """A child of a quorum node failed or differed."""


FACTS: dict[str, type[BlockFact]] = {
    "JOB_STATUS_CHANGE": JobStatusChanged,
    "BLOCK_JOB_READY": BlockJobReady,
    "BLOCK_JOB_COMPLETED": BlockJobCompleted,
    "BLOCK_JOB_CANCELLED": BlockJobCancelled,
    "BLOCK_JOB_ERROR": BlockJobFailed,
    "BLOCK_JOB_PENDING": BlockJobPending,
    "BLOCK_EXPORT_DELETED": BlockExportDeleted,
    "BLOCK_WRITE_THRESHOLD": WriteThresholdExceeded,
    "BLOCK_IMAGE_CORRUPTED": ImageCorrupted,
    "QUORUM_FAILURE": QuorumFailed,
    "QUORUM_REPORT_BAD": QuorumReported,
}
"""By the name of the event."""
