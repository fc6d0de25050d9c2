"""Promises about signatures, with real keys, git, gpg and ssh-keygen: only what is trusted is taken over."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes.signing import (
    NOBODY,
    GpgHome,
    Signer,
    commit_by,
    git_by,
    gpg_home,
    merge_by,
    ssh_signer,
    trust_data,
)

from gitmesh.fetch.command import Abort, GitRunner
from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.signatures import trusting
from gitmesh.fetch.trust import TrustError, read_trust
from gitmesh.fetch.verifying import Demand, Unverified, Verified, verify
from gitmesh.model.verify import PathRule
from gitmesh.playground.repository import GitRepository

pytestmark = pytest.mark.real
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
WHERE = "ConfigMap default/signers"


@pytest.fixture(scope="module")
def home() -> Iterator[GpgHome]:
    with gpg_home(Path(tempfile.mkdtemp(prefix="gm-")) / "g") as made:
        yield made
        made.directory.parent.joinpath("x").unlink(missing_ok=True)


@dataclass(frozen=True)
class People:
    """Two who sign by SSH, one by GPG, and one whom nobody knows."""

    ada: Signer
    bob: Signer
    eve: Signer
    gus: Signer


@pytest.fixture(scope="module")
def people(home: GpgHome, tmp_path_factory: pytest.TempPathFactory) -> People:
    keys = tmp_path_factory.mktemp("keys")
    ada, bob, eve = (ssh_signer(keys, f"{name}@example.com") for name in ("ada", "bob", "eve"))
    return People(ada, bob, eve, home.signer("gus@example.com"))


@pytest.fixture
def repo(tmp_path: Path) -> GitRepository:
    return GitRepository.create(tmp_path / "repository")


def judge(
    repo: GitRepository,
    signers: Sequence[Signer],
    tip: str = "",
    base: str = "",
    *,
    each: bool = False,
    rules: Sequence[PathRule] = (),
    now: datetime = NOW,
    data: dict[str, bytes] | None = None,
) -> Verified | Unverified:
    trust = read_trust(trust_data(*signers) if data is None else data, WHERE)
    with trusting(trust, now) as lent:
        git = GitRunner(repo.origin, Abort(), lent=lent)
        return verify(git, tip or repo.head, base, Demand(trust, now, each, tuple(rules)))


def refused(judged: Verified | Unverified, *words: str) -> None:
    assert isinstance(judged, Unverified), judged
    assert [word for word in words if word not in judged.why] == [], judged.why
    assert judged.why.isprintable()


def rule(path: str, *signers: Signer, min: int = 1) -> PathRule:
    return PathRule(path=path, signers=tuple(signer.email for signer in signers), min=min)


# One commit ------------------------------------------------------------------------------------------


def test_a_commit_of_a_trusted_signer_is_taken_over_by_ssh_and_by_gpg(repo: GitRepository, people: People):
    commit_by(repo, people.ada, {"a": "1"})
    assert judge(repo, [people.ada, people.gus]) == Verified("ada@example.com")
    commit_by(repo, people.gus, {"a": "2"})
    assert judge(repo, [people.ada, people.gus]) == Verified("gus@example.com <gus@example.com>")


def test_g30_a_commit_without_a_signature_is_not_taken_over(repo: GitRepository, people: People):
    commit = commit_by(repo, NOBODY, {"a": "1"})
    refused(judge(repo, [people.ada, people.gus]), commit[:7], "Nobody <nobody@", "is not signed", WHERE)


def test_g30_a_commit_by_an_unknown_key_is_not_taken_over(repo: GitRepository, people: People):
    commit_by(repo, people.eve, {"a": "1"})
    refused(judge(repo, [people.ada, people.gus]), "an SSH key that", "does not trust", people.eve.key)
    refused(judge(repo, [people.gus]), "an SSH key", "does not trust")  # no allowed_signers at all
    commit_by(repo, people.gus, {"a": "2"})
    refused(judge(repo, [people.ada]), "a GPG key that", "does not trust")


@pytest.mark.parametrize("who", ["ada", "gus"])
def test_g30_a_commit_that_was_changed_after_it_was_signed_is_not_taken_over(
    repo: GitRepository, people: People, who: str
):
    commit_by(repo, getattr(people, who), {"a": "1"})
    raw = subprocess.run(
        ["git", "-C", str(repo.work), "cat-file", "commit", "HEAD"], capture_output=True, check=True
    ).stdout
    forged = subprocess.run(
        ["git", "-C", str(repo.origin), "hash-object", "-t", "commit", "-w", "--stdin"],
        input=raw.replace(b"Change", b"Chance"),
        capture_output=True,
        check=True,
    ).stdout.decode()
    refused(judge(repo, [people.ada, people.gus], forged.strip()), "it was changed after it was signed")


def test_a_signature_that_was_moved_to_another_commit_counts_for_nothing(repo: GitRepository, people: People):
    commit_by(repo, people.ada, {"a": "1"})
    cat = ["git", "-C", str(repo.work), "cat-file", "commit", "HEAD"]
    signed = subprocess.run(cat, capture_output=True, check=True).stdout
    start, end = signed.index(b"gpgsig "), signed.index(b"-----END SSH SIGNATURE-----\n") + 28
    commit_by(repo, NOBODY, {"a": "evil"})
    plain = subprocess.run(cat, capture_output=True, check=True).stdout
    head, _, message = plain.partition(b"\n\n")
    forged = subprocess.run(
        ["git", "-C", str(repo.origin), "hash-object", "-t", "commit", "-w", "--stdin"],
        input=head + b"\n" + signed[start:end] + b"\n" + message,
        capture_output=True,
        check=True,
    ).stdout.decode()
    refused(judge(repo, [people.ada], forged.strip()), "does not fit its content")


def test_a_gpg_key_that_has_expired_or_was_revoked_is_not_trusted(repo: GitRepository, home: GpgHome):
    old, lost = home.signer("old@example.com", "seconds=2"), home.signer("lost@example.com")
    commit = commit_by(repo, old, {"a": "1"})
    end = datetime.now(UTC).timestamp() + 3  # noqa: TID251 (gpg has a clock of its own)
    while datetime.now(UTC).timestamp() < end:  # noqa: TID251
        pass
    refused(judge(repo, [old], commit), "a GPG key that has expired", old.key[-16:])
    commit = commit_by(repo, lost, {"a": "2"})
    assert isinstance(judge(repo, [lost], commit), Verified)
    refused(judge(repo, [], commit, data={"lost.asc": home.revoked(lost)}), "a GPG key that was revoked")


def test_the_validity_of_an_ssh_key_counts_now_and_at_the_time_of_the_commit(
    repo: GitRepository, people: People, tmp_path: Path
):
    options = 'valid-after="20260101",valid-before="20260601"'
    tom = ssh_signer(tmp_path / "keys", "tom@example.com", options)
    early, within, late = (f"{day}T12:00:00Z" for day in ("2025-12-01", "2026-03-01", "2026-07-01"))
    spring = datetime(2026, 3, 2, tzinfo=UTC)
    commit = commit_by(repo, tom, {"a": "1"}, when=within)
    assert judge(repo, [tom], commit, now=spring) == Verified("tom@example.com")
    # Who has the key still, and writes an old date into a commit, gets nowhere.
    refused(judge(repo, [tom, people.ada], commit, now=NOW), "whose time in", "is not now")
    for when in (early, late):
        refused(judge(repo, [tom], commit_by(repo, tom, {"a": when}, when=when), now=spring), "SSH")


def test_an_ssh_key_for_another_purpose_does_not_sign_commits(repo: GitRepository, tmp_path: Path):
    mail = ssh_signer(tmp_path / "keys", "mail@example.com", 'namespaces="email"')
    git = ssh_signer(tmp_path / "keys", "git@example.com", 'namespaces="git,email"')
    commit_by(repo, mail, {"a": "1"})
    refused(judge(repo, [mail, git]), "SSH")
    commit_by(repo, git, {"a": "2"})
    assert judge(repo, [mail, git]) == Verified("git@example.com")


def test_trust_is_never_read_from_the_repository_or_from_the_host(
    repo: GitRepository, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Neither a file in the commit, nor git's configuration, nor a key ring of whoever runs the daemon."""
    line = people.eve.line + "\n"
    config = tmp_path / "config"
    (tmp_path / "allowed").write_text(line)
    config.write_text(
        f'[gpg "ssh"]\n allowedSignersFile = {tmp_path / "allowed"}\n[gpg]\n program = /bin/true\n'
    )
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, str(config))
    monkeypatch.setenv("GNUPGHOME", people.gus.environment["GNUPGHOME"])
    monkeypatch.setenv("GIT_SSH_ALLOWED_SIGNERS", str(tmp_path / "allowed"))
    commit = commit_by(repo, people.eve, {"allowed_signers": line, ".gitsigners": line})
    for key, value in (
        ("gpg.ssh.allowedSignersFile", str(tmp_path / "allowed")),
        ("gpg.minTrustLevel", "never"),
    ):
        subprocess.run(["git", "-C", str(repo.origin), "config", key, value], check=True)
    refused(judge(repo, [people.ada], commit), "does not trust")
    commit = commit_by(repo, people.gus, {"a": "2"})
    refused(judge(repo, [people.ada], commit), "does not trust")


def test_no_agent_and_no_file_stays_behind(repo: GitRepository, people: People, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    commit_by(repo, people.gus, {"a": "1"})
    assert isinstance(judge(repo, [people.gus]), Verified)
    assert [name for name in os.listdir(tmp_path) if name.startswith("gitmesh-trust")] == []
    commands = [
        (Path(f"/proc/{pid}/cmdline").read_bytes() if Path(f"/proc/{pid}/cmdline").exists() else b"")
        for pid in os.listdir("/proc")
        if pid.isdigit()
    ]
    assert [command for command in commands if b"gitmesh-trust" in command] == []


@pytest.mark.parametrize(("who", "program"), [("ada", "ssh-keygen"), ("gus", "gpg")])
def test_a_program_that_is_missing_is_named(
    repo: GitRepository, people: People, monkeypatch, tmp_path: Path, who: str, program: str
):
    commit_by(repo, people.ada, {"a": "1"})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match=f"{program} is not installed.*apt install"):
        judge(repo, [getattr(people, who)], "0" * 40)


def test_a_list_that_cannot_be_used_says_why(repo: GitRepository, people: People, home: GpgHome):
    private = home.run("--armor", "--export-secret-keys", people.gus.key).encode()
    for data, words in (
        ({}, "names no signer"),
        ({"allowed_signers": b"# nobody\n\n"}, "names no signer"),
        ({"allowed_signers": b"ada@example.com ssh-ed25519\n"}, "line 1 is not"),
        ({"allowed_signers": b"ada@example.com ssh-ed25519 ???\n"}, "line 1 is not"),
        ({"allowed_signers": b"\xff"}, "is no text"),
        ({"ada.asc": b"not a key"}, "holds no GPG public key"),
        ({"gus.asc": private}, "holds a private key"),
    ):
        with pytest.raises(TrustError, match=words):
            judge(repo, [], "0" * 40, data=data)


# Every commit ----------------------------------------------------------------------------------------


def test_head_asks_the_newest_commit_alone_and_each_asks_every_one_since_the_accepted(
    repo: GitRepository, people: People
):
    base = commit_by(repo, NOBODY, {"a": "0"})
    bad = commit_by(repo, NOBODY, {"a": "1"})
    tip = commit_by(repo, people.ada, {"a": "2"})
    assert judge(repo, [people.ada], tip, base) == Verified("ada@example.com")
    refused(judge(repo, [people.ada], tip, base, each=True), bad[:7], "is not signed")
    assert isinstance(judge(repo, [people.ada], tip, bad, each=True), Verified), "older ones do not count"
    assert isinstance(judge(repo, [people.ada], tip, "", each=True), Verified), "the first one"


def test_each_also_asks_what_a_merge_brings(repo: GitRepository, people: People):
    base = commit_by(repo, people.ada, {"a": "0"})
    repo.git("switch", "--quiet", "--create", "feature")
    bad = commit_by(repo, people.eve, {"b": "1"}, push=False)
    repo.git("switch", "--quiet", "main")
    tip = merge_by(repo, people.ada, "feature")
    assert isinstance(judge(repo, [people.ada], tip, base), Verified)
    refused(judge(repo, [people.ada], tip, base, each=True), bad[:7])
    assert isinstance(judge(repo, [people.ada, people.eve], tip, base, each=True), Verified)


def test_a_rewritten_history_is_asked_from_where_it_parts(repo: GitRepository, people: People):
    commit_by(repo, people.ada, {"a": "0"})
    accepted = commit_by(repo, people.ada, {"a": "1"})
    repo.git("reset", "--quiet", "--hard", "HEAD~1")
    bad = commit_by(repo, NOBODY, {"a": "2"})
    tip = commit_by(repo, people.ada, {"a": "3"})
    refused(judge(repo, [people.ada], tip, accepted, each=True), bad[:7])


def test_an_accepted_commit_that_is_lost_counts_as_none(repo: GitRepository, people: People):
    tip = commit_by(repo, people.ada, {"a": "1"})
    assert isinstance(judge(repo, [people.ada], tip, "1" * 40, each=True), Verified)


# Paths -----------------------------------------------------------------------------------------------


def test_files_below_a_path_change_by_its_signers_alone(repo: GitRepository, people: People):
    everybody, prod = [people.ada, people.bob, people.gus], rule("prod/**", people.ada)
    base = commit_by(repo, people.ada, {"prod/a": "1", "dev/a": "1"})
    tip = commit_by(repo, people.bob, {"dev/a": "2"})
    assert isinstance(judge(repo, everybody, tip, base, rules=[prod]), Verified)
    bad = commit_by(repo, people.bob, {"prod/a": "2"})
    refused(
        judge(repo, everybody, bad, base, rules=[prod]),
        "prod/a",
        bad[:7],
        "signed by bob@",
        "ada@example.com",
    )


@pytest.mark.parametrize("files", [{"prod/b": "new"}, {"prod/a": None}, {"prod/deep/er/c": "new"}])
def test_what_is_added_or_deleted_below_a_path_is_a_change(repo: GitRepository, people: People, files):
    everybody, prod = [people.ada, people.bob], rule("prod/**", people.ada)
    base = commit_by(repo, people.ada, {"prod/a": "1"})
    refused(judge(repo, everybody, commit_by(repo, people.bob, files), base, rules=[prod]), "prod/")
    repo.git("reset", "--quiet", "--hard", base)
    tip = commit_by(repo, people.ada, files)
    assert isinstance(judge(repo, everybody, tip, base, rules=[prod]), Verified)


def test_a_commit_on_top_does_not_sign_for_what_another_changed_and_taking_it_back_does(
    repo: GitRepository, people: People
):
    everybody, prod = [people.ada, people.bob], rule("prod/**", people.ada)
    base = commit_by(repo, people.ada, {"prod/a": "1"})
    commit_by(repo, people.bob, {"prod/a": "2"})
    tip = commit_by(repo, people.ada, {"README": "of mine"})
    refused(judge(repo, everybody, tip, base, rules=[prod]), "prod/a", "bob@")
    tip = commit_by(repo, people.bob, {"prod/a": "1"})
    assert isinstance(judge(repo, everybody, tip, base, rules=[prod]), Verified)
    tip = commit_by(repo, people.ada, {"prod/a": "2"})
    assert isinstance(judge(repo, everybody, tip, base, rules=[prod]), Verified)


def test_what_a_signer_changed_may_be_merged_by_others_and_not_the_other_way_round(
    repo: GitRepository, people: People
):
    everybody, prod = [people.ada, people.bob], rule("prod/**", people.ada)
    for author, merger, fine in ((people.ada, people.bob, True), (people.bob, people.ada, False)):
        repo.git("switch", "--quiet", "--force-create", "main")
        base = commit_by(repo, people.ada, {"prod/a": "1", "dev/a": author.email})
        repo.git("switch", "--quiet", "--force-create", "feature")
        commit_by(repo, author, {"prod/a": "2"}, push=False)
        repo.git("switch", "--quiet", "main")
        commit_by(repo, people.bob, {"dev/a": "x"})
        tip = merge_by(repo, merger, "feature")
        assert isinstance(judge(repo, everybody, tip, base, rules=[prod]), Verified) is fine


def test_a_merge_that_itself_makes_the_content_is_a_change(repo: GitRepository, people: People):
    everybody, prod = [people.ada, people.bob], rule("prod/**", people.ada)
    base = commit_by(repo, people.ada, {"prod/a": "1"})
    repo.git("switch", "--quiet", "--create", "feature")
    commit_by(repo, people.ada, {"prod/a": "2"}, push=False)
    repo.git("switch", "--quiet", "main")
    commit_by(repo, people.ada, {"dev": "1"})
    git_by(repo, people.bob, "merge", "--quiet", "--no-ff", "--no-commit", "--no-gpg-sign", "feature")
    tip = commit_by(repo, people.bob, {"prod/a": "evil"}, "Merge")
    assert len(repo.git("rev-parse", "HEAD^@").split()) == 2
    refused(judge(repo, everybody, tip, base, rules=[prod]), "prod/a", tip[:7])


def test_a_merge_that_brings_an_old_state_back_is_a_change(repo: GitRepository, people: People):
    """The old content was signed once, by the right signer. Bringing it back is a change all the same."""
    everybody, prod = [people.ada, people.bob], rule("prod/**", people.ada)
    old = commit_by(repo, people.ada, {"prod/a": "hole"})
    base = commit_by(repo, people.ada, {"prod/a": "mended"})
    repo.git("switch", "--quiet", "--create", "old", old)
    commit_by(repo, people.bob, {"dev": "1"}, push=False)
    repo.git("switch", "--quiet", "main")
    tip = merge_by(repo, people.bob, "old", "--strategy=ours")
    assert isinstance(judge(repo, everybody, tip, base, rules=[prod]), Verified), "nothing came back"
    repo.git("reset", "--quiet", "--hard", base)
    git_by(repo, people.bob, "merge", "--quiet", "--no-ff", "--no-commit", "--no-gpg-sign", "old")
    tip = commit_by(repo, people.bob, {"prod/a": "hole"}, "Merge")
    refused(judge(repo, everybody, tip, base, rules=[prod]), "prod/a")
    repo.git("reset", "--quiet", "--hard", old)
    repo.push(force=True)
    refused(judge(repo, everybody, old, base, rules=[prod]), "prod/a", "is not as it was accepted")


def test_two_signers_can_be_asked_for_one_who_changes_and_one_who_merges(repo: GitRepository, people: People):
    everybody, prod = [people.ada, people.bob, people.gus], rule("prod/**", people.ada, people.gus, min=2)
    base = commit_by(repo, people.bob, {"prod/a": "1"})
    tip = commit_by(repo, people.ada, {"prod/a": "2"})
    refused(judge(repo, everybody, tip, base, rules=[prod]), "asks for 1 of its signers beside ada@")
    for merger, fine in ((people.ada, False), (people.bob, False), (people.gus, True)):
        repo.git("reset", "--quiet", "--hard", base)
        repo.git("switch", "--quiet", "--force-create", "feature")
        commit_by(repo, people.ada, {"prod/a": f"by {merger.name}"}, push=False)
        repo.git("switch", "--quiet", "main")
        tip = merge_by(repo, merger, "feature")
        assert isinstance(judge(repo, everybody, tip, base, rules=[prod]), Verified) is fine


def test_who_pulls_the_branch_into_work_of_his_own_does_not_sign_for_it(repo: GitRepository, people: People):
    everybody, prod = [people.ada, people.gus], rule("prod/**", people.ada, people.gus, min=2)
    base = commit_by(repo, people.ada, {"prod/a": "1"})
    repo.git("switch", "--quiet", "--create", "feature")
    commit_by(repo, people.gus, {"dev": "1"}, push=False)
    repo.git("switch", "--quiet", "main")
    commit_by(repo, people.ada, {"prod/a": "2"})
    repo.git("switch", "--quiet", "feature")
    merge_by(repo, people.gus, "main")
    repo.git("switch", "--quiet", "main")
    tip = merge_by(repo, people.ada, "feature")
    refused(judge(repo, everybody, tip, base, rules=[prod]), "prod/a")


def test_the_first_revision_of_all_needs_a_signer_who_has_seen_the_files_as_they_are(
    repo: GitRepository, people: People
):
    everybody, prod = [people.ada, people.bob], rule("prod/**", people.ada)
    commit_by(repo, NOBODY, {"prod/a": "1"})
    tip = commit_by(repo, people.bob, {"dev": "1"})
    refused(judge(repo, everybody, tip, rules=[prod]), "prod/a")
    commit_by(repo, people.ada, {"dev": "2"})
    tip = commit_by(repo, people.bob, {"dev": "3"})
    assert isinstance(judge(repo, everybody, tip, rules=[prod]), Verified)


def test_a_signer_is_named_by_address_or_by_key(repo: GitRepository, people: People):
    base = commit_by(repo, people.ada, {"prod/a": "1"})
    everybody = [people.ada, people.bob, people.gus]
    for signer, other in ((people.ada, people.gus), (people.gus, people.ada)):
        tip = commit_by(repo, signer, {"prod/a": signer.email})
        for name in (signer.email, signer.key):
            named = PathRule(path="prod", signers=(name,))
            assert isinstance(judge(repo, everybody, tip, base, rules=[named]), Verified)
        for name in (other.email, other.key, "example.com", "*"):
            named = PathRule(path="prod", signers=(name,))
            refused(judge(repo, everybody, tip, base, rules=[named]), "prod/a")


def test_a_file_that_moves_below_a_path_is_a_change_there(repo: GitRepository, people: People):
    everybody, prod = [people.ada, people.bob], rule("prod/**", people.ada)
    base = commit_by(repo, people.ada, {"dev/a": "1\n" * 50, "prod/x": "1"})
    (repo.work / "prod" / "a").write_text("1\n" * 50)
    tip = commit_by(repo, people.bob, {"dev/a": None})
    refused(judge(repo, everybody, tip, base, rules=[prod]), "prod/a")


def test_a_mirror_without_the_content_of_files_is_enough(repo: GitRepository, people: People, tmp_path: Path):
    everybody, prod = [people.ada, people.bob], rule("prod/**", people.ada)
    base = commit_by(repo, people.ada, {"prod/a": "1", "dev": "1"})
    good = commit_by(repo, people.ada, {"prod/a": "2"})
    bad = commit_by(repo, people.bob, {"prod/a": "3"})
    mirror = GitRepository(tmp_path / "mirror")
    for command in (
        ["git", "-C", str(repo.origin), "config", "uploadpack.allowFilter", "true"],
        ["git", "clone", "--quiet", "--bare", "--filter=blob:none", repo.url, str(mirror.origin)],
        ["git", "-C", str(mirror.origin), "config", "--remove-section", "remote.origin"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    assert isinstance(judge(mirror, everybody, good, base, each=True, rules=[prod]), Verified)
    refused(judge(mirror, everybody, bad, base, rules=[prod]), "prod/a")


@pytest.mark.parametrize("name", [".gitmeshignore", "Chart.yaml"])
@pytest.mark.parametrize("folder", ["", "eu/", "eu/prod/"])
def test_what_makes_files_below_a_path_seem_to_be_deleted_is_a_change_there(
    repo: GitRepository, people: People, folder: str, name: str
):
    everybody, prod = [people.ada, people.bob], rule("eu/prod/**", people.ada)
    base = commit_by(repo, people.ada, {"eu/prod/a": "1", "dev/a": "1"})
    elsewhere = commit_by(repo, people.bob, {f"dev/{name}": "a"})
    assert isinstance(judge(repo, everybody, elsewhere, base, rules=[prod]), Verified)
    hiding = commit_by(repo, people.bob, {f"{folder}{name}": "prod"})
    refused(judge(repo, everybody, hiding, base, rules=[prod]), f"{folder}{name}", "signed by bob@")
    repo.git("reset", "--quiet", "--hard", base)
    meant = commit_by(repo, people.ada, {f"{folder}{name}": "prod"})
    assert isinstance(judge(repo, everybody, meant, base, rules=[prod]), Verified)


def test_the_name_in_a_gpg_key_does_not_make_it_the_key_of_another_address(
    repo: GitRepository, people: People, home: GpgHome
):
    mallory = home.signer("mallory@example.com", name="Ada <ada@example.com>")
    base = commit_by(repo, people.ada, {"prod/a": "1"})
    tip = commit_by(repo, mallory, {"prod/a": "2"})
    everybody = [people.ada, mallory]
    assert isinstance(judge(repo, everybody, tip, base), Verified)
    refused(judge(repo, everybody, tip, base, rules=[rule("prod", people.ada)]), "prod/a")
    assert isinstance(judge(repo, everybody, tip, base, rules=[rule("prod", mallory)]), Verified)
