"""GM301 to GM309: findings about policies.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, documents, policy, reviews_rule

_STEPS = "steps: [{progress: 10, hold: 10m}, {progress: 100}]"
_WINDOW = 'windows: [{{cron: "{cron}", duration: 8h, timezone: {zone}}}]\n'
_GATE = "steps:\n  - {{progress: 10, gate: {{cel: {cel}}}}}\n  - {{progress: 100}}\n"
_FREEZE = (
    "apiVersion: gitmesh.dev/v1alpha1\nkind: FreezeWindow\nmetadata: {{name: year-end}}\nspec:\n"
    '  from: "{start}"\n  to: "{end}"\n  timezone: Europe/Berlin\n  who: platform team\n  why: holidays\n'
)
_CHRISTMAS = _FREEZE.format(start="2026-12-20T18:00", end="2027-01-03T06:00")
_PLAIN = reviews_rule("route: [{destination: {host: reviews}}]\n")

POLICY_RULES = (
    Rule(
        "GM301",
        Severity.ERROR,
        "A policy contradicts itself",
        "Steps must climb and end at 100; the window must not be shorter than the interval; percentages are "
        "0 to 100 and durations like 10s or 5m.",
        documents(_PLAIN, policy("steps: [{progress: 50}, {progress: 25}, {progress: 100}]")),
        documents(_PLAIN, policy(_STEPS)),
    ),
    Rule(
        "GM302",
        Severity.ERROR,
        "Several policies select one object equally",
        "A more precise selector wins: names before hosts before namespaces, and each written out before "
        "with a wildcard. Of two that are equal, chance would say which of them moves the object.",
        documents(_PLAIN, policy(_STEPS), policy(_STEPS, name="fast")),
        documents(_PLAIN, policy(_STEPS), policy("select: {names: [ratings]}\n" + _STEPS, name="fast")),
    ),
    Rule(
        "GM303",
        Severity.WARNING,
        "A policy selects nothing",
        "No object of the repository has such a kind, namespace, name and hosts: the policy moves nothing.",
        documents(_PLAIN, policy("select: {names: [review]}\n" + _STEPS)),
        documents(_PLAIN, policy("select: {names: [reviews]}\n" + _STEPS)),
    ),
    Rule(
        "GM304",
        Severity.ERROR,
        "A time zone does not exist",
        "Windows and freezes are local to a time zone of the IANA database, such as Europe/Berlin, so that "
        "they keep their place in the day when clocks are set.",
        documents(_PLAIN, policy(_WINDOW.format(cron="0 9 * * *", zone="Europe/Berln") + _STEPS)),
        documents(_PLAIN, policy(_WINDOW.format(cron="0 9 * * *", zone="Europe/Berlin") + _STEPS)),
    ),
    Rule(
        "GM305",
        Severity.ERROR,
        "A window has no cron expression",
        "It has five fields: minute, hour, day of month, month, day of week. One moment at least must fit.",
        documents(_PLAIN, policy(_WINDOW.format(cron="9:00 daily", zone="UTC") + _STEPS)),
        documents(_PLAIN, policy(_WINDOW.format(cron="0 9 * * *", zone="UTC") + _STEPS)),
    ),
    Rule(
        "GM306",
        Severity.ERROR,
        "A gate that can never open",
        "An expression is CEL and yields true or false. It knows evidence, by the metrics of the policy, "
        "with underscores, as in evidence.error_rate.value < 0.5, and rollout, as in rollout.progress. "
        "A hook is asked at no address where machines of a cloud learn their secrets.",
        documents(_PLAIN, policy(_GATE.format(cel="evidnce.error_rate.value < 0.5"))),
        documents(_PLAIN, policy(_GATE.format(cel="evidence.error_rate.value < 0.5"))),
    ),
    Rule(
        "GM307",
        Severity.ERROR,
        "A policy cannot be met",
        "The deadline is for the whole rollout, from its first step to the end of its bake, and time outside "
        "of windows counts. Holds, bake and windows that need as long, or longer, would let no rollout ever "
        "succeed.",
        documents(_PLAIN, policy("deadline: 10m\n" + _STEPS)),
        documents(_PLAIN, policy("deadline: 1h\n" + _STEPS)),
    ),
    Rule(
        "GM308",
        Severity.ERROR,
        "The moments of a freeze make no sense",
        "from and to are ISO 8601: with an offset, or local to timezone. The freeze ends after it begins.",
        _FREEZE.format(start="2026-12-20T18:00", end="2026-12-20"),
        _FREEZE.format(start="2026-12-20T18:00", end="2027-01-03T06:00"),
    ),
    Rule(
        "GM309",
        Severity.WARNING,
        "A freeze selects nothing",
        "No object of the repository has such a kind, namespace, name and hosts: the freeze holds nothing. "
        "Without select it is for everything.",
        documents(_PLAIN, _CHRISTMAS + "  select: {names: [review]}\n"),
        documents(_PLAIN, _CHRISTMAS + "  select: {names: [reviews]}\n"),
    ),
)
