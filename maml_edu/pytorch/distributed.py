"""The old place of `training/distributed.py`; kept for one release."""

from .training.distributed import (
    Alone,
    Distributed,
    PeerLost,
    Team,
    meeting,
    processes,
    team_of,
    undistributed,
)

__all__ = [
    "Alone",
    "Distributed",
    "PeerLost",
    "Team",
    "meeting",
    "processes",
    "team_of",
    "undistributed",
]
