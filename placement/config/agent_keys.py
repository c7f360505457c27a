"""The keys of an agent, which stands beside one registry."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from placement.config.values import Address, Section, optional_address, said


def _url(text: str) -> str:
    parts = urlsplit(text)
    whole = parts.scheme in {"http", "https"} and parts.hostname and not parts.query
    if text and (not whole or parts.username is not None):
        message = (
            "give http://HOST:PORT or https://HOST:PORT; who we are goes into user and"
            " password_file"
        )
        raise ValueError(message)
    return text.rstrip("/")


OptionalAddress = Annotated[str, AfterValidator(optional_address)]
Url = Annotated[str, AfterValidator(_url)]


class RegistryConfig(Section):
    """Where a registry is, and who we are to it."""

    url: Annotated[Url, said("the registry's address; empty: none")] = ""
    user: Annotated[str, said("a user name; empty: none")] = ""
    password: Annotated[SecretStr, said("the user's password")] = SecretStr("")
    password_file: Annotated[Path | None, said("a file that holds the password")] = None
    token_file: Annotated[
        Path | None, said("a file that holds a bearer token, sent as it is")
    ] = None
    token_realms: Annotated[
        tuple[Url, ...],
        said("token services on other hosts that may be given the password"),
    ] = ()
    storage_hosts: Annotated[
        tuple[str, ...],
        said("HOST or HOST:PORT of storage that blobs are redirected to, if private"),
    ] = ()
    ca_file: Annotated[
        Path | None, said("the PEM file of the registry's authorities")
    ] = None


class ReceiverConfig(Section):
    """Who may post notifications."""

    token_file: Annotated[
        Path | None, said("a file that holds the bearer token that senders must send")
    ] = None
    signature_key_file: Annotated[
        Path | None, said("a file that holds the key of the senders' HMAC-SHA256")
    ] = None
    request_log: Annotated[
        Path | None, said("the registry's JSON log, for bytes and durations of pulls")
    ] = None
    client_regions: Annotated[
        dict[str, str], said("where clients are: region by network, 10.1.0.0/16")
    ] = Field(default_factory=dict)
    proxy: Annotated[
        bool, said("true or false: whether the registry is a pull-through cache")
    ] = False
    own_accounts: Annotated[
        tuple[str, ...],
        said("accounts of our replicators, where a registry names accounts (Harbor)"),
    ] = ()
    peer_regions: Annotated[
        dict[str, str],
        said("our regions by what the registry calls them, such as us-east-1 (ECR)"),
    ] = Field(default_factory=dict)
    zot_subject: Annotated[
        str, said("the NATS subject that zot publishes to; empty: none")
    ] = ""


class SpoolConfig(Section):
    """How much is kept on disk until it is in the log, and afterwards."""

    waiting_bytes_max: Annotated[
        int,
        said(
            "bytes that may wait for the log, 1048576 to 2^50; more is refused",
            ge=1 << 20,
            le=1 << 50,
        ),
    ] = 1 << 30
    kept_bytes_max: Annotated[
        int,
        said(
            "bytes to keep of what was sent, in case the log loses it, 0 to 2^50",
            ge=0,
            le=1 << 50,
        ),
    ] = 256 << 20
    kept_seconds: Annotated[
        float,
        said("seconds to keep what was sent, 0 to 31,536,000", ge=0, le=31_536_000),
    ] = 259_200.0
    aside_count_max: Annotated[
        int,
        said("how much to keep of what can never be sent, 1 to 10^7", ge=1, le=10**7),
    ] = 10_000


class StartsConfig(Section):
    """From which schedulers machine starts are read."""

    kubernetes_url: Annotated[Url, said("the Kubernetes API; empty: none")] = ""
    kubernetes_token_file: Annotated[Path | None, said("a service account's token")] = (
        None
    )
    kubernetes_ca_file: Annotated[Path | None, said("the API's authorities, PEM")] = (
        None
    )
    nomad_url: Annotated[Url, said("the Nomad API; empty: none")] = ""
    nomad_token_file: Annotated[Path | None, said("a Nomad ACL token")] = None
    count_seconds: Annotated[
        float,
        said("seconds between counts of all machines, 10 to 86,400", ge=10, le=86_400),
    ] = 300.0
    counts: Annotated[
        bool,
        said("true or false: whether machines are counted; one agent a region may"),
    ] = True
    region_label: Annotated[
        str, said("the label of nodes that holds their region; empty: all are here")
    ] = ""
    regions: Annotated[
        dict[str, str],
        said("our regions by what the schedulers call them; others' machines are left"),
    ] = Field(default_factory=dict)
    registries: Annotated[
        tuple[str, ...],
        said("hosts whose images count, as image names write them; empty: all"),
    ] = ()
    images: Annotated[
        dict[str, str],
        said("for Fly.io: an image by app or machine; * is for all others"),
    ] = Field(default_factory=dict)


class InventoryConfig(Section):
    """How often the whole registry is read, and how fast."""

    interval_seconds: Annotated[
        float, said("seconds between scans, 1 to 604,800; 0: none", ge=0, le=604_800)
    ] = 3_600.0
    requests_per_second: Annotated[
        float, said("requests to the registry, 0.1 to 10,000", ge=0.1, le=10_000)
    ] = 50.0
    check_blobs: Annotated[
        bool,
        said("true or false: ask for each blob, or take the manifests' word for it"),
    ] = True


class ReplicatorConfig(Section):
    """How decisions for this region are carried out."""

    source: Annotated[
        Literal["none", "nats", "grpc"],
        said("none, nats (the work queue) or grpc (WatchReplications)"),
    ] = "none"
    copies: Annotated[int, said("images at once, 1 to 64", ge=1, le=64)] = 4
    blobs: Annotated[
        int, said("blobs at once for each image, 1 to 64", ge=1, le=64)
    ] = 4
    bytes_per_second: Annotated[
        dict[str, int],
        said(
            "the most that copies may take from a region, by region; others: no limit"
        ),
    ] = Field(default_factory=dict)
    evict: Annotated[
        bool, said("true or false: whether decided removals are carried out")
    ] = False
    garbage_collect_command: Annotated[
        tuple[str, ...],
        said("a command that frees space after removals, word by word; empty: none"),
    ] = ()


class RouterConfig(Section):
    """The registry mirror that machines of this region pull from."""

    listen: Annotated[OptionalAddress, said("HOST:PORT; empty: nowhere")] = ""
    cert_file: Annotated[Path | None, said("our certificate's PEM file")] = None
    key_file: Annotated[Path | None, said("our private key's PEM file")] = None
    source_seconds: Annotated[
        float,
        said("seconds for a source to begin its answer, 0.05 to 5", ge=0.05, le=5),
    ] = 0.4
    stall_seconds: Annotated[
        float,
        said(
            "seconds without a byte until another source goes on, 0.2 to 30",
            ge=0.2,
            le=30,
        ),
    ] = 1.0
    fill: Annotated[
        bool,
        said("true or false: whether pulls from elsewhere fill this region's registry"),
    ] = True
    spool_bytes: Annotated[
        int,
        said("the most disk for content on its way, 1,000,000 or more", ge=1_000_000),
    ] = 16 << 30
    redirect_user_agents: Annotated[
        tuple[str, ...],
        said("clients that follow a redirect with credentials of their own, prefixes"),
    ] = ("containerd/",)


class DoorConfig(Section):
    """The placement API on this machine, answered from the local replica."""

    listen: Annotated[OptionalAddress, said("gRPC, HOST:PORT; empty: nowhere")] = ""
    http_listen: Annotated[
        OptionalAddress, said("HTTP and JSON, HOST:PORT; empty: nowhere")
    ] = ""


class AgentConfig(Section):
    """One agent: its region, what it reads, what it carries out, what it answers."""

    region: Annotated[str, said("the region whose registry this is")] = ""
    listen: Annotated[Address, said("where notifications are posted, HOST:PORT")] = (
        "127.0.0.1:7451"
    )
    metrics_listen: Annotated[
        OptionalAddress,
        said("where else to serve /metrics, HOST:PORT; empty: where notifications go"),
    ] = ""
    state_dir: Annotated[
        Path, said("a directory for what is not yet published or half copied")
    ] = Path("placement-agent")
    registry: RegistryConfig = RegistryConfig()
    sources: Annotated[
        dict[str, RegistryConfig],
        said("other regions' registries, by region, where they are not as this one"),
    ] = Field(default_factory=dict)
    receiver: ReceiverConfig = ReceiverConfig()
    spool: SpoolConfig = SpoolConfig()
    starts: StartsConfig = StartsConfig()
    inventory: InventoryConfig = InventoryConfig()
    replicator: ReplicatorConfig = ReplicatorConfig()
    router: RouterConfig = RouterConfig()
    door: DoorConfig = DoorConfig()
