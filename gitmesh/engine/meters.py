"""What the daemon counts about itself.

Stage: engine (shell). The names are documented in docs/metrics.md; a test compares.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gitmesh.model.plan import ChangeKind
from gitmesh.model.rollout import Outcome

LAG_BUCKETS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 10_800, 43_200, 86_400)


class Meters:
    """One set of meters with a registry of its own, so that two daemons in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.passes = Counter(
            "gitmesh_passes_total", "Passes over a source, by outcome", ["outcome"], registry=self.registry
        )
        self.pass_seconds = Histogram(
            "gitmesh_pass_duration_seconds", "How long one pass took", registry=self.registry
        )
        self.fetches = Counter(
            "gitmesh_fetches_total", "Fetches from Git, by outcome", ["outcome"], registry=self.registry
        )
        self.changes = Counter(
            "gitmesh_changes_total", "Changes written to the cluster", ["change"], registry=self.registry
        )
        self.drift = Counter("gitmesh_drift_healed_total", "Drifts healed", registry=self.registry)
        self.checks = Counter(
            "gitmesh_checks_total", "Checks of rollouts by the guard", ["verdict"], registry=self.registry
        )
        self.rollouts = Gauge(
            "gitmesh_rollouts", "Rollouts that are in a phase now", ["phase"], registry=self.registry
        )
        self.rollbacks = Counter("gitmesh_rollbacks_total", "Rollouts rolled back", registry=self.registry)
        self.notices = Counter(
            "gitmesh_notifications_total",
            "Notices and commit statuses, by target and what became of them",
            ["target", "outcome"],
            registry=self.registry,
        )
        self.webhooks = Counter(
            "gitmesh_webhooks_total",
            "Webhooks that came in, by receiver and outcome",
            ["receiver", "outcome"],
            registry=self.registry,
        )
        self.held_plans = Gauge(
            "gitmesh_held_plans", "Plans that wait for a person's approval", registry=self.registry
        )
        self.skipped = Gauge(
            "gitmesh_skipped_objects",
            "Objects that are left alone on purpose now",
            ["why"],
            registry=self.registry,
        )
        self.config_reloads = Counter(
            "gitmesh_config_reloads_total",
            "Changed configuration files, by outcome: applied or refused",
            ["outcome"],
            registry=self.registry,
        )
        self.config_valid = Gauge(
            "gitmesh_config_valid",
            "1 while the configuration file is in force as it stands, 0 after a refused change",
            registry=self.registry,
        )
        self.config_valid.set(1)
        self.fights = Gauge(
            "gitmesh_fights", "Objects that somebody else changes again and again", registry=self.registry
        )
        self._add_sources()
        self._add_rollouts()
        self._add_cluster()
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """Show what has not happened yet as 0: the first time would not be seen as an increase otherwise."""
        known = (
            (self.passes, ("complete", "incomplete")),
            (self.fetches, ("success", "failure")),
            (self.changes, tuple(kind.value for kind in ChangeKind)),
            (self.checks, tuple(outcome.value for outcome in Outcome)),
        )
        for counter, values in known:
            for value in values:
                counter.labels(value)

    def _add_sources(self) -> None:
        """How each source stands, at the replica that works."""
        self.source_ready = self._of_source("ready", "1 while everything that Git says is live")
        self.source_stalled = self._of_source("stalled", "1 while a person has to act")
        self.source_suspended = self._of_source("suspended", "1 while spec.suspend is true")
        self.source_objects = self._of_source("objects", "Objects that the source owns")
        self.source_findings = self._of_source(
            "findings", "Findings in the newest revision, as far as the status shows them", "severity"
        )
        self.source_revision = self._of_source(
            "revision_info",
            "1 for the revision that was fetched, accepted or applied last",
            "state",
            "revision",
        )
        self.source_fetched = self._of_source(
            "last_fetch_timestamp_seconds", "When the repository was last fetched with success"
        )
        self.source_behind = self._of_source(
            "behind_since_timestamp_seconds",
            "Since when Git has something that is not live yet; 0: it has not",
        )
        self.lag_seconds = Histogram(
            "gitmesh_reconcile_lag_seconds",
            "From the fetch of a revision until all of it is live, ramps included",
            buckets=LAG_BUCKETS,
            registry=self.registry,
        )

    def _add_rollouts(self) -> None:
        labels = ["source", "namespace", "rollout"]
        self.rollout_progress = Gauge(
            "gitmesh_rollout_progress_percent",
            "How far a rollout is from the stable weights to those in Git",
            labels,
            registry=self.registry,
        )
        self.rollout_phase = Gauge(
            "gitmesh_rollout_phase",
            "1 for the phase of a rollout",
            [*labels, "phase"],
            registry=self.registry,
        )
        self.rollouts_unlisted = Gauge(
            "gitmesh_rollouts_unlisted",
            "Rollouts without series of their own: there are too many",
            registry=self.registry,
        )

    def _add_cluster(self) -> None:
        self.leader = Gauge(
            "gitmesh_leader", "1 at the replica that works on the shard", ["shard"], registry=self.registry
        )
        self.api_requests = Counter(
            "gitmesh_api_requests_total",
            "Requests to the API server, by what was asked and what came of it",
            ["verb", "outcome"],
            registry=self.registry,
        )
        self.api_seconds = Histogram(
            "gitmesh_api_request_duration_seconds",
            "How long one request to the API server took",
            ["verb"],
            registry=self.registry,
        )
        self.watch_restarts = Counter(
            "gitmesh_watch_restarts_total",
            "Watches that broke or expired and began anew",
            ["kind"],
            registry=self.registry,
        )

    def _of_source(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"gitmesh_source_{name}", text, ["source", *labels], registry=self.registry)
