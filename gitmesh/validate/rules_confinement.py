"""GM030: a finding about where the objects of a source may be.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule

CONFINEMENT_RULES = (
    Rule(
        "GM030",
        Severity.ERROR,
        "An object is outside of what its source may change",
        "The operator may confine TrafficSources to their own namespace, by crossNamespace. Then "
        "a repository cannot change the traffic of others. `gitmesh validate` knows nothing of it, the "
        "daemon does. It cannot be suppressed.",
        "a VirtualService of namespace shop in a repository whose source may change namespace team-a alone",
        "the same in namespace team-a",
        file="",
    ),
)
