"""GM026 to GM029: findings about suppressions.

Stage: validate (pure). They are made by parse.
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, virtual_service

_ROUTE = "hosts: [reviews]\nhttp:\n- route: [{destination: {host: reviews}}]\n"
_CATCH_ALL = "- route: [{destination: {host: ratings}}]\n"
_UNREACHED = virtual_service(
    _ROUTE + "# gitmesh: ignore GM130 because the next change removes it\n" + _CATCH_ALL
)
_PLAIN = virtual_service(_ROUTE)

SUPPRESSION_RULES = (
    Rule(
        "GM026",
        Severity.WARNING,
        "A suppression gives no reason",
        "Who reads the file later must learn why a finding is wanted. Without a reason it is not suppressed.",
        _UNREACHED.replace(" because the next change removes it", ""),
        _UNREACHED,
    ),
    Rule(
        "GM027",
        Severity.WARNING,
        "A suppression names no rule",
        "Each suppression names the codes that it is about, separated by commas. Nothing else is suppressed.",
        _UNREACHED.replace("GM130", "GM1300"),
        _UNREACHED,
    ),
    Rule(
        "GM028",
        Severity.WARNING,
        "A suppression suppresses nothing",
        "What was wrong is gone, or the comment stands at another place than the finding. Beside a line it "
        "covers that line; on its own line it covers the field, list element or document that begins "
        "directly below. It is not reported for a rule that could not be checked, as without a cluster.",
        _PLAIN.replace("  hosts:", "  # gitmesh: ignore GM121 because both teams agreed\n  hosts:"),
        _PLAIN,
    ),
    Rule(
        "GM029",
        Severity.WARNING,
        "A finding cannot be suppressed",
        "A file that cannot be read, and an object without a name or of an unknown kind, would be left out, "
        "and so seem to be deleted from Git. Name files for other tools in .gitmeshignore. A value of the "
        "wrong type would reach what plans and applies. Errors of GitMesh's own kinds (RolloutPolicy and "
        "others) cannot be suppressed, as they guard traffic.",
        "# gitmesh: ignore GM020 because the controller is not installed yet\n"
        + _PLAIN.replace("kind: VirtualService", "kind: VirtualServices"),
        _PLAIN,
    ),
)
