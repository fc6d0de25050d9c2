"""GM350 to GM361: findings about route tests.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, destination_rule, documents, virtual_service


def route_test(spec: str) -> str:
    """Return the text of a RouteTest with this spec."""
    lines = "".join(f"  {line}\n" for line in spec.strip("\n").splitlines())
    head = "apiVersion: gitmesh.dev/v1alpha1\nkind: RouteTest\nmetadata: {name: reviews}\nspec:\n"
    return head + lines


def _case(expect: str, request: str = "GET http://reviews:9080/ratings/7", sender: str = "") -> str:
    own = f"    from: {sender}\n" if sender else ""
    return documents(_MESH, route_test(f"cases:\n  - request: {request}\n{own}    expect: {expect}\n"))


_MESH = documents(
    virtual_service(
        "hosts: [reviews]\n"
        "http:\n"
        "  - match: [{headers: {end-user: {exact: jason}}}]\n"
        "    route: [{destination: {host: reviews, subset: v2}}]\n"
        "  - route: [{destination: {host: reviews, subset: v1}}]\n"
    ),
    destination_rule(
        "host: reviews\n"
        "subsets:\n"
        "  - {name: v1, labels: {version: v1}}\n"
        "  - {name: v2, labels: {version: v2}}\n"
    ),
)
_RIGHT = _case("{destination: {host: reviews, subset: v1}}")

ROUTE_TEST_RULES = (
    Rule(
        "GM350",
        Severity.ERROR,
        "A route test fails",
        "A RouteTest of the repository says what must become of a request, and with this commit something"
        " else does. The finding says what was expected, what happens, and by which rule. The daemon "
        "applies nothing of such a commit. `gitmesh test` sends the same requests through a real Envoy. "
        "Tests are run when nothing else is wrong.",
        _case("{destination: {host: reviews, subset: v2}}"),
        _RIGHT,
    ),
    Rule(
        "GM351",
        Severity.ERROR,
        "A value of a route test cannot be read",
        "Shares are percentages such as 25% or 2.5, timeouts are durations such as 10s, or none.",
        _case("{timeout: 10}"),
        _case("{timeout: none}"),
    ),
    Rule(
        "GM352",
        Severity.ERROR,
        "The request of a case is none",
        "A request is a method and a URL of http or https, as one would give curl: GET "
        "http://reviews:9080/ratings/7. Without a method it is GET. Header names hold no spaces.",
        _case("{status: 200}", request="GET ftp://reviews/ratings"),
        _case("{status: 200}"),
    ),
    Rule(
        "GM353",
        Severity.ERROR,
        "A case expects nothing",
        "Whatever becomes of the request, the case would pass.",
        _case("{}"),
        _RIGHT,
    ),
    Rule(
        "GM354",
        Severity.ERROR,
        "The shares of a case cannot be",
        "destinations names every destination that gets requests, so the shares add to 100 %. A "
        "destination without a share gets all. To say something of one destination only, use destination.",
        _case("{destinations: [{host: reviews, subset: v1}, {host: reviews, subset: v2, share: 10%}]}"),
        _case("{destination: {host: reviews, subset: v2, share: 0%}}"),
    ),
    Rule(
        "GM355",
        Severity.ERROR,
        "Two expectations of a case exclude each other",
        "A request that is redirected is not sent on, what must not be reached gets nothing, and "
        "destinations says everything that destination could.",
        _case("{destination: {host: reviews}, redirect: https://reviews.example.com/}"),
        _case("{destination: {host: reviews}}"),
    ),
    Rule(
        "GM356",
        Severity.ERROR,
        "The sender of a case is several",
        "A request is sent by a workload (by its labels, or by its name), or it comes in at a gateway.",
        _case("{status: 404}", sender="{gateway: entry, labels: {app: productpage}}"),
        _case("{destination: {host: reviews}}", sender="{labels: {app: productpage}}"),
    ),
    Rule(
        "GM357",
        Severity.ERROR,
        "Nobody knows the sender of a case",
        "workload is the name of a Pod, Deployment, StatefulSet or the like, or of a Service; gateway is "
        "that of a Gateway of the repository. Where the cluster's workloads are not known, it is a "
        "warning, and the case is not run. Labels always work.",
        _case("{status: 404}", sender="{gateway: entrance}"),
        _case("{destination: {host: reviews}}", sender="{labels: {app: productpage}}"),
    ),
    Rule(
        "GM358",
        Severity.ERROR,
        "Nobody serves a host that a case names",
        "A host that is misspelt in mustNotReach is never reached, and the case passes for ever. Where "
        "the cluster's Services are not known, it is a warning.",
        _case("{mustNotReach: [{host: review}]}"),
        _case("{mustNotReach: [{host: reviews, subset: v2}]}"),
    ),
    Rule(
        "GM359",
        Severity.WARNING,
        "No DestinationRule of the repository defines a subset that a case names",
        "A subset that is misspelt in mustNotReach is never reached, and the case passes for ever.",
        _case("{mustNotReach: [{host: reviews, subset: v3}]}"),
        _case("{mustNotReach: [{host: reviews, subset: v2}]}"),
    ),
    Rule(
        "GM360",
        Severity.WARNING,
        "Two cases of a document have one name",
        "A failure is told by the name of the case.",
        documents(
            _MESH,
            route_test(
                "cases:\n"
                "  - {name: one, request: http://reviews:9080/a, expect: {status: 200}}\n"
                "  - {name: one, request: http://reviews:9080/b, expect: {status: 200}}\n"
            ),
        ),
        _RIGHT,
    ),
    Rule(
        "GM361",
        Severity.ERROR,
        "There are too many cases",
        "More than 10,000 cases in one revision are not run, so a test that is not run would seem to pass.",
        "# more than 10,000 cases",
        _RIGHT,
        file="",
    ),
)
