"""The error of the playground as a whole.

Stage: playground (face).
"""

from __future__ import annotations

from gitmesh.model.errors import EdgeError


class PlaygroundError(EdgeError):
    """The playground, or a part of it, cannot start or go on."""
