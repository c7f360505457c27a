"""What an operator may choose: one TOML file < environment < flags, and the catalogue.

``load_config`` and ``load_topology`` are all that others need; nothing else reads the
environment. Keys are in ``keys``, and docs/reference/configuration.md lists them.
"""

from placement.config.agent_keys import AgentConfig, RegistryConfig
from placement.config.catalogue import load_prices, load_topology
from placement.config.errors import ConfigError
from placement.config.keys import (
    SHIPPED_REGIONS_FILE,
    CheckpointConfig,
    Config,
    TraceConfig,
)
from placement.config.loading import (
    foreign_environment,
    load_config,
    origin_of,
    supervisor,
    unknown_variables,
)
from placement.config.reach_keys import ClientConfig, NatsConfig, TlsConfig
from placement.config.secret_files import read_secret
from placement.config.values import is_loopback, split_address
from placement.unconfigured import CONFIG_FILE

__all__ = [
    "CONFIG_FILE",
    "SHIPPED_REGIONS_FILE",
    "AgentConfig",
    "CheckpointConfig",
    "ClientConfig",
    "Config",
    "ConfigError",
    "NatsConfig",
    "RegistryConfig",
    "TlsConfig",
    "TraceConfig",
    "foreign_environment",
    "is_loopback",
    "load_config",
    "load_prices",
    "load_topology",
    "origin_of",
    "read_secret",
    "split_address",
    "supervisor",
    "unknown_variables",
]
