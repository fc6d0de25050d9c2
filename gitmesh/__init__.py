"""GitMesh: a mesh's traffic follows a Git repository."""

__version__ = "0.1.0"
