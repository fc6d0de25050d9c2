"""GM0xx: findings about files, before the content of an object is judged.

Stage: validate (pure). GM001 to GM005 are made by fetch, GM007 by the pass, the others by parse.
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, documents, reviews_rule

_GOOD = reviews_rule("route: [{destination: {host: reviews}}]")

FILE_RULES = (
    Rule(
        "GM001",
        Severity.WARNING,
        "A symbolic link is not followed",
        "A link could lead out of the repository. Only files that are in the repository themselves are read.",
        "reviews.yaml -> ../shared/reviews.yaml",
        "reviews.yaml with the text itself",
        file="",
    ),
    Rule(
        "GM002",
        Severity.WARNING,
        "A submodule is not followed",
        "A submodule is another repository. Make a TrafficSource for it, or put its files into this one.",
        "traffic/ as a submodule",
        "traffic/ as a folder with files",
        file="",
    ),
    Rule(
        "GM003",
        Severity.ERROR,
        "A file is too large",
        "A file above the limit is not read. It is an error: its objects would otherwise seem to be deleted.",
        "one file with all objects of a large mesh",
        "one file for each service",
        file="",
    ),
    Rule(
        "GM004",
        Severity.ERROR,
        "A file lies too deep",
        "A path with more folders than the limit is not read, and its objects must not seem to be deleted.",
        "a/b/c/d/ and thirty more folders above reviews.yaml",
        "traffic/reviews.yaml",
        file="",
    ),
    Rule(
        "GM005",
        Severity.ERROR,
        "A file name is not plain text",
        "File names must be printable UTF-8, so that every message and log can name them.",
        "a name with a line break",
        "reviews.yaml",
        file="",
    ),
    Rule(
        "GM006",
        Severity.ERROR,
        "A file is a Git LFS pointer",
        "Git LFS keeps the content elsewhere, where GitMesh does not look. Its objects must not seem to be "
        "deleted, so nothing of the revision is applied. Files that are no manifests may be in LFS.",
        "version https://git-lfs.github.com/spec/v1\n"
        "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n",
        _GOOD,
    ),
    Rule(
        "GM007",
        Severity.ERROR,
        "A revision could not be judged",
        "GitMesh itself failed while it read or checked the revision. That is a mistake in GitMesh, and not "
        "in the repository. Nothing of the revision is applied, and the last good one stays. Please report "
        "it.",
        "a revision that GitMesh stumbles over",
        "the revision before it, or one without what was changed last",
        file="",
    ),
    Rule(
        "GM010",
        Severity.ERROR,
        "A file is not UTF-8",
        "Kubernetes reads UTF-8 only. The place names the first byte that is something else.",
        "a file that was saved as Latin-1 or UTF-16",
        "the same file, saved as UTF-8",
        file="",
    ),
    Rule(
        "GM011",
        Severity.ERROR,
        "A file is not valid YAML or JSON",
        "The file is read up to the place of the error. Nothing of the revision is applied.",
        _GOOD.replace("hosts: [reviews]", "hosts: [reviews"),
        _GOOD,
    ),
    Rule(
        "GM012",
        Severity.ERROR,
        "A field is there twice",
        "YAML parsers take the last one silently, and people read the first one. Both places are named.",
        _GOOD.replace("  hosts: [reviews]\n", "  hosts: [ratings]\n  hosts: [reviews]\n"),
        _GOOD,
    ),
    Rule(
        "GM013",
        Severity.WARNING,
        "A value is not what it looks like",
        "As kubectl reads YAML, y, n, yes, no, on and off are booleans, also as the name of a field, and a "
        "number with a leading zero is octal. Quote the value if you mean text.",
        _GOOD.replace("name: reviews}", "name: reviews, labels: {y: a}}"),
        _GOOD.replace("name: reviews}", "name: reviews, labels: {'y': a}}"),
    ),
    Rule(
        "GM014",
        Severity.ERROR,
        "A file goes beyond a limit",
        "Documents per file, levels of nesting and values that aliases stand for are limited, so that no "
        "file can fill the memory of the daemon.",
        "a: " + "[" * 70 + "]" * 70,
        _GOOD,
    ),
    Rule(
        "GM015",
        Severity.ERROR,
        "A value has no form in JSON",
        "Kubernetes objects are JSON. Infinity, not-a-number, a list as the name of a field, and a value "
        "that contains itself cannot be sent to a server.",
        _GOOD + "  weight: .inf\n",
        _GOOD,
    ),
    Rule(
        "GM016",
        Severity.ERROR,
        "A document is not a Kubernetes object",
        "Each document needs apiVersion and kind. Name files for other tools in .gitmeshignore, or set the "
        "path of the TrafficSource to the folder with the traffic configuration.",
        "hosts: [reviews]\n",
        _GOOD,
    ),
    Rule(
        "GM017",
        Severity.ERROR,
        "The name or namespace is missing or malformed",
        "Kind, namespace and name identify an object. Names are lower-case letters, digits, - and dots.",
        _GOOD.replace("name: reviews}", "name: Reviews_v1}"),
        _GOOD,
    ),
    Rule(
        "GM018",
        Severity.ERROR,
        "Something is wrong with the metadata or the top level",
        "Labels and annotations are maps from text to text, and only the fields of Kubernetes exist.",
        _GOOD.replace("name: reviews}", "name: reviews, labels: {version: 1}}"),
        _GOOD.replace("name: reviews}", "name: reviews, labels: {version: '1'}}"),
    ),
    Rule(
        "GM019",
        Severity.INFO,
        "A kind is not managed by GitMesh",
        "GitMesh applies VirtualService, DestinationRule, Gateway, ServiceEntry, WorkloadEntry and Sidecar, "
        "and reads RolloutPolicy and Guardrail. Everything else in the repository is left alone: neither "
        "applied nor deleted. Services, Pods, Deployments and the like, Namespaces and Secrets serve as "
        "context and are not listed.",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n",
        _GOOD,
    ),
    Rule(
        "GM020",
        Severity.ERROR,
        "A kind or version does not exist",
        "A misspelt kind, group or version must not lead to an object that is silently left out.",
        _GOOD.replace("kind: VirtualService", "kind: VirtualServices"),
        _GOOD,
    ),
    Rule(
        "GM021",
        Severity.ERROR,
        "An object is defined twice",
        "Two documents have the same kind, namespace and name. The version does not make them different.",
        documents(_GOOD, _GOOD.replace("istio.io/v1", "istio.io/v1beta1")),
        _GOOD,
    ),
    Rule(
        "GM022",
        Severity.WARNING,
        "A field that only the server sets",
        "status, uid, resourceVersion and the like come from `kubectl get -o yaml`. They are left out.",
        _GOOD.replace("name: reviews}", "name: reviews, resourceVersion: '7'}"),
        _GOOD,
    ),
    Rule(
        "GM023",
        Severity.WARNING,
        "Charts and kustomizations are not rendered",
        "GitMesh reads plain manifests. Commit what Helm or kustomize renders.",
        "resources: [reviews.yaml]\n",
        _GOOD,
        file="kustomization.yaml",
    ),
    Rule(
        "GM024",
        Severity.INFO,
        "There are more findings",
        "The number of findings that are shown is limited; errors are shown first.",
        "a repository with thousands of findings",
        "the same, with the first ones fixed",
        file="",
    ),
    Rule(
        "GM025",
        Severity.WARNING,
        "A line of .gitmeshignore is not a pattern",
        "Patterns are those of .gitignore: *, ?, **, a leading / for this folder, a trailing / for folders, "
        "a leading ! to take a match back.",
        "/\n",
        "ci/\n*.tmpl.yaml\n!keep.yaml\n",
        file="",
    ),
)
