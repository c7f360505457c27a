"""The command ``placement``: its subcommands by name, its exit codes, its errors."""

import os
from errno import EPIPE
from importlib import import_module
from typing import Final

import rich_click as click

from placement.cli.failures import EXIT_CODES, FAILED, INTERRUPTED, failure
from placement.cli.session import session_options
from placement.core.errors import PlacementError

COMMANDS: Final = {
    "serve": ("serve:serve", "Run the service, with a broker of its own if need be."),
    "publish": ("publish:publish", "Publish events and registry notifications."),
    "sources": ("sources:sources", "Rank the regions to pull an image from."),
    "estimate": ("estimate:estimate", "Estimate where a machine would start soonest."),
    "plan-pull": ("pull:plan_pull", "Plan the pull of a whole image, by content."),
    "push-targets": ("push:push_targets", "Rank the regions to push an image to."),
    "wait": ("wait:wait", "Wait until an image is where it should be."),
    "show": ("show:show", "Show where an image is and who uses it."),
    "explain": ("explain:explain", "Explain the answers about an image, step by step."),
    "routes": ("routes:routes", "Show what is known of the ways between regions."),
    "replicas": ("replicas:replicas", "List what is stored where."),
    "preview": ("preview:preview", "Show what would be copied where, and why."),
    "request": ("requesting:request", "Ask for an image to be in a region by a time."),
    "replications": (
        "replications:replications",
        "List what was decided, or watch what a region is to do.",
    ),
    "replication": ("replication:replication", "Show one decision, or call it off."),
    "explain-start": (
        "explain_start:explain_start",
        "Explain why a machine found its image nearby, or did not.",
    ),
    "report": (
        "report:report",
        "Show what copies saved and cost, and what was missed.",
    ),
    "doctor": ("doctor:doctor", "Say what is wrong here, and what to do about it."),
    "health": ("health:health", "Say whether the service, or the agent, is ready."),
    "status": ("status:status", "Show what the service is and how far it is."),
    "watch": ("watch:watch", "Print where content is, then every change as it comes."),
    "tail": ("tail:tail", "Print the events of the log as they come."),
    "replay": ("replay:replay", "Fold the log again and print the fingerprint."),
    "export": ("export:export", "Write the log and what came of it as Parquet."),
    "query": ("query:query", "Ask an export: starts, bytes, regret, calibration."),
    "simulate": ("simulate:simulate", "Score policies on recorded deployments."),
    "rehearse": ("rehearse:rehearse", "Live recorded deployments through."),
    "orders": ("orders:orders", "Show which orders of operators are in force."),
    "region": ("operations:region", "Say what a region may be used for."),
    "pause": ("operations:pause", "Stop new copies."),
    "resume": ("operations:resume", "Allow new copies again."),
    "pin": ("operations:pin", "Let an image stay."),
    "unpin": ("operations:unpin", "Let an image go again."),
    "policy": ("orders:policy", "Show, check or change the policy."),
    "config": ("config_check:config", "Look at the configuration."),
    "nats-config": (
        "nats_config:nats_config",
        "Write who may do what in NATS, for a server to include.",
    ),
    "agent": ("agent:agent", "Receive a registry's notifications and publish them."),
    "backup": ("backup:backup", "Write the whole log to a directory."),
    "restore": ("backup:restore", "Make the log anew from a backup."),
    "spool": ("spool:spool", "Look at what an agent set aside, and send it again."),
    "inventory": (
        "inventory:inventory",
        "Read a registry as a whole, once, and publish what it holds.",
    ),
    "completion": (
        "completion:completion",
        "Print what completes commands in a shell.",
    ),
    "bench": ("bench:bench", "Measure placement itself."),
    "demo": ("demo:demo", "Show the main job on a service of its own."),
}
"""Where each command is, and its first line, so that --help imports none of them."""

NO_OLDER_TLS: Final = "ECDHE-PSK-CHACHA20-POLY1305"
"""The one cipher left for TLS 1.2: it needs a shared key, and there is none.

gRPC's Python API names no least version of TLS. Those of 1.3 are not of this list.
"""


class LazyGroup(click.RichGroup):
    """A group that imports a command when it is called, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of COMMANDS."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return what --help needs of a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        return click.RichCommand(name=cmd_name, help=COMMANDS[cmd_name][1])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the real command, imported."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            command = load_command(name)
        if ctx.resilient_parsing and command is not None:  # somebody pressed tab
            from placement.cli.completion import (  # noqa: PLC0415 - seldom
                complete_regions,
            )

            complete_regions(command)
        return name, command, rest

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; an expected failure becomes one message and its exit code."""
        os.environ["GRPC_SSL_CIPHER_SUITES"] = NO_OLDER_TLS  # read when it is imported
        try:
            return super().invoke(ctx)
        except PlacementError as error:
            message, code = failure(error)
            click.echo(message, err=True)
        except OSError as error:
            if error.errno == EPIPE:
                raise  # click ends in silence
            click.echo(f"error: {str(error) or repr(error)}  [INPUT_OUTPUT]", err=True)
            code = FAILED
        except KeyboardInterrupt:
            code = INTERRUPTED
        return ctx.exit(code)


def load_command(name: str) -> click.Command:
    """Return the command *name* of COMMANDS."""
    module, attribute = COMMANDS[name][0].split(":")
    command = getattr(import_module(f"placement.cli.{module}"), attribute)
    assert isinstance(command, click.Command), f"{name} is no command"
    return command


@click.group(
    name="placement",
    cls=LazyGroup,
    epilog=f"Exit codes: {EXIT_CODES}",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="placement", message="%(prog)s %(version)s")
@session_options
def main() -> None:
    """Where an image is, and where it should be.

    Start with `placement demo`, or with `placement serve` in one terminal and
    `placement publish`, `placement sources` in another.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # else it tells of every GOAWAY
