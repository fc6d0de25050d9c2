"""What the daemon counts about itself.

Stage: engine (shell). The names are documented in docs/metrics.md; a test compares.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


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
