"""Rules about guardrails.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, documents, reviews_rule


def guardrail(spec: str) -> str:
    """Return the text of a Guardrail with this spec."""
    lines = "".join(f"  {line}\n" for line in spec.strip("\n").splitlines())
    head = "apiVersion: gitmesh.dev/v1alpha1\nkind: Guardrail\nmetadata: {name: short-timeouts}\nspec:\n"
    return head + lines


_SHORT = guardrail(
    "match: {kinds: [VirtualService]}\n"
    "rules:\n"
    "  - expression: object.spec.http.all(r, !has(r.timeout) || duration(r.timeout) <= duration('30s'))\n"
    "    message: a caller waits 30 seconds at most\n"
    "    field: spec.http\n"
)


def _routes(timeout: str) -> str:
    return reviews_rule(f"timeout: {timeout}\nroute: [{{destination: {{host: reviews}}}}]")


GUARDRAIL_RULES = (
    Rule(
        "GM310",
        Severity.ERROR,
        "An expression of a Guardrail cannot be used",
        "An expression is CEL and yields true or false; messageExpression yields text. The scope resource "
        "knows the variable object, the scope set resources, the scope plan changes. A guardrail that "
        "cannot be asked guards nothing, so it is an error.",
        guardrail("rules:\n  - expression: objekt.metadata.namespace != 'edge'"),
        guardrail("rules:\n  - expression: object.metadata.namespace != 'edge'"),
    ),
    Rule(
        "GM311",
        Severity.ERROR,
        "A guardrail does not hold",
        "A Guardrail of the repository has an expression that must be true, and for this object, or for all"
        " of them together, it is false. The guardrail says how severe that is. Those of the scope plan are"
        " asked when there is a plan, by the daemon and by gitmesh plan.",
        documents(_SHORT, _routes("60s")),
        documents(_SHORT, _routes("10s")),
    ),
    Rule(
        "GM312",
        Severity.ERROR,
        "A guardrail could not be evaluated",
        "The expression of a Guardrail is neither true nor false for this object, mostly because it asks "
        "for a field that the object does not have: write !has(object.spec.http) || ... before it. An "
        "expression that costs too much is not evaluated, either. The severity is that of the guardrail.",
        documents(
            _SHORT.replace("!has(r.timeout) || ", ""),
            reviews_rule("route: [{destination: {host: reviews}}]"),
        ),
        documents(_SHORT, reviews_rule("route: [{destination: {host: reviews}}]")),
    ),
)
