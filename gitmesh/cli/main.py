"""The command group. A command's module is imported only when the command is run.

Stage: none (face). `gitmesh --help` must stay instant: the one-line helps stand here, and nothing heavy is
imported.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from gitmesh import __version__
from gitmesh.model.errors import EdgeError

# name: (module, one line of help). The order is the order of a newcomer's day.
COMMANDS = {
    "demo": ("gitmesh.cli.demo", "Run the whole story here: push, ramp, failure, rollback."),
    "play": ("gitmesh.cli.play", "Start a mesh on this machine: API server, Envoy, services."),
    "run": ("gitmesh.cli.run", "Run the daemon: make a cluster follow its TrafficSources."),
    "config": ("gitmesh.cli.config", "Show every setting of the daemon, and who gave it."),
    "validate": ("gitmesh.cli.validate", "Check traffic configuration in files, without a cluster."),
    "test": ("gitmesh.cli.test", "Run the RouteTests of a directory on a real Envoy."),
    "explain": (
        "gitmesh.cli.explain_request",
        "Say which route takes a request, and why no earlier one does.",
    ),
    "plan": ("gitmesh.cli.plan", "Show what a directory would change in the cluster, and why."),
    "approve": ("gitmesh.cli.approve", "Let a plan through that is held for doing much at once."),
    "sync": ("gitmesh.cli.sync", "Make the daemon fetch and apply now, and wait for the outcome."),
    "status": ("gitmesh.cli.status", "Show sources and rollouts; --watch follows them."),
    "why": ("gitmesh.cli.why", "Say why a rollout stands where it stands, with the evidence."),
    "overrule": ("gitmesh.cli.overrule", "Let what a rollout brings past its windows, with a reason."),
    "promote": ("gitmesh.cli.promote", "Let a rollout leave its step now, or go on to 100 %."),
    "pause": ("gitmesh.cli.pause", "Keep a rollout where it is; the guard keeps watching."),
    "resume": ("gitmesh.cli.resume", "Let a paused rollout go on."),
    "rollback": ("gitmesh.cli.rollback", "Take a rollout back to stable now, and keep it there."),
    "retry": ("gitmesh.cli.retry", "Let rolled-back content go out again."),
}

INTERRUPTED = 130  # as shells say it: 128 and SIGINT

EPILOG = """\b
Start here:
  gitmesh demo                    see all of it in a minute and a half
  gitmesh play                    then, elsewhere: gitmesh run --playground --repo DIR
  gitmesh validate DIR            check a directory before you push it
"""


class LazyGroup(click.Group):
    """A group that knows its commands by name and loads one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; say in one line what went wrong outside, instead of a traceback."""
        try:
            return super().invoke(ctx)
        except EdgeError as error:
            raise Refused(str(error)) from error
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            raise SystemExit(INTERRUPTED) from None


class Refused(click.ClickException):
    """An error that the user can do something about. Exit status 2: the command could not do its work."""

    exit_code = 2


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"auto_envvar_prefix": "GITMESH", "help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="gitmesh")
def cli() -> None:
    """Make a service mesh's traffic follow a Git repository.

    GitMesh pulls Istio traffic configuration from Git, validates it, applies the difference to the cluster,
    walks weight changes in steps, and goes back by itself when the error rate crosses a threshold.
    """


def main() -> None:
    """Run the command line."""
    try:
        cli(prog_name="gitmesh")
    except KeyboardInterrupt:  # while a command was being loaded, or had ended
        sys.exit(INTERRUPTED)
