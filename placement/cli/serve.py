"""``placement serve``: run the service."""

import rich_click as click

from placement import app
from placement.cli.session import (
    Session,
    config_option,
    key_option,
    log_options,
    pass_session,
)
from placement.telemetry.logs import configure_logs


def _switch(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value:
        assert param.name is not None, "a flag has a name"
        ctx.ensure_object(Session).overrides[param.name] = True


@click.command()
@config_option
@log_options
@key_option("--listen", "listen")
@key_option("--console-listen", "console_listen")
@key_option("--regions", "regions_file")
@key_option("--bootstrap-from", "bootstrap.peers")
@key_option("--log-format", "log_format")
@key_option("--log-level", "log_level")
@click.option(
    "--allow-plaintext",
    is_flag=True,
    help="Sets allow_plaintext of the configuration to true.",
    callback=_switch,
    expose_value=False,
)
@click.option(
    "--reuse-port",
    is_flag=True,
    help="Sets reuse_port: several services share the port, each with its own data.",
    callback=_switch,
    expose_value=False,
)
@pass_session
def serve(session: Session) -> None:
    """Run the service, with a broker of its own if need be.

    `placement config check --show` says what is in force, and what else can be set.
    SIGTERM and SIGINT end it; it saves first.
    """
    config = session.config
    configure_logs(config.log_format, config.log_level)
    app.run(config)
