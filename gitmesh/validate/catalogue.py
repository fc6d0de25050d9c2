"""Every finding that GitMesh can make, by code. Codes are stable: none changes its meaning or is used again.

Stage: validate (pure). GM0xx: files. GM1xx: the shape of one object. GM2xx: references. GM3xx: policies.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gitmesh.validate.rule import Rule
from gitmesh.validate.rules_across import ACROSS_RULES
from gitmesh.validate.rules_analyses import ANALYSIS_RULES
from gitmesh.validate.rules_around import AROUND_RULES
from gitmesh.validate.rules_confinement import CONFINEMENT_RULES
from gitmesh.validate.rules_files import FILE_RULES
from gitmesh.validate.rules_guardrails import GUARDRAIL_RULES
from gitmesh.validate.rules_no_effect import EFFECT_RULES
from gitmesh.validate.rules_objects import OBJECT_RULES
from gitmesh.validate.rules_policies import POLICY_RULES
from gitmesh.validate.rules_references import REFERENCE_RULES
from gitmesh.validate.rules_route_tests import ROUTE_TEST_RULES
from gitmesh.validate.rules_schedules import DEPENDENCY_RULES
from gitmesh.validate.rules_schemas import SCHEMA_RULES
from gitmesh.validate.rules_shape import SHAPE_RULES
from gitmesh.validate.rules_suppressions import SUPPRESSION_RULES
from gitmesh.validate.rules_unmet import UNMET_RULES
from gitmesh.validate.rules_warnings import WARNING_RULES

_ALL = (
    *FILE_RULES,
    *SUPPRESSION_RULES,
    *CONFINEMENT_RULES,
    *SHAPE_RULES,
    *OBJECT_RULES,
    *WARNING_RULES,
    *REFERENCE_RULES,
    *ACROSS_RULES,
    *AROUND_RULES,
    *POLICY_RULES,
    *GUARDRAIL_RULES,
    *DEPENDENCY_RULES,
    *ANALYSIS_RULES,
    *ROUTE_TEST_RULES,
    *EFFECT_RULES,
    *UNMET_RULES,
    *SCHEMA_RULES,
)

CATALOGUE: Mapping[str, Rule] = MappingProxyType({rule.code: rule for rule in _ALL})
assert len(CATALOGUE) == len(_ALL), "a code stands twice in the catalogue"

__all__ = ["CATALOGUE", "Rule"]
