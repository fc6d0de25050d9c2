"""The signature of an annotated tag, as git judges it by a list of trusted signers and nothing else.

Stage: fetch (effect). Everything here blocks and belongs in a worker thread.
"""

from __future__ import annotations

from gitmesh.fetch.command import GitExit, GitRunner
from gitmesh.fetch.pull import tag_ref
from gitmesh.fetch.urls import check_branch, check_commit

_RAW_MAX = 1_048_576


def has_signed_tag(git: GitRunner, tag: str, commit: str) -> bool:
    """Say whether a tag is an annotated one of that name, on that commit, with a signature that is trusted.

    `git` was lent the list of `trusting`, so that it knows nobody else.
    """
    ref = tag_ref(check_branch(tag))
    try:
        with git.stream("cat-file", "tag", ref) as stdout:
            head = stdout.read(_RAW_MAX).partition(b"\n\n")[0].split(b"\n")
        # What is signed is the object: who may move a ref must not show it under another name.
        named = [f"object {check_commit(commit)}".encode(), b"type commit", f"tag {tag}".encode()]
        if head[:3] != named:
            return False
        # An SSH key that nobody trusts, and a GPG key without trust, are below this level.
        git.text("-c", "gpg.minTrustLevel=fully", "verify-tag", "--", ref)
    except GitExit:
        return False
    return True
