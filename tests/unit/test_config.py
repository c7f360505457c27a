"""The configuration: one file < environment < flags, and errors that help."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from placement.config import (
    Config,
    ConfigError,
    foreign_environment,
    is_loopback,
    load_config,
    split_address,
    unknown_variables,
)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own placement.toml."""
    monkeypatch.chdir(tmp_path)


def written(text: str, name: str = "some.toml") -> Path:
    """Return a file in the working directory that holds *text*."""
    file = Path(name)
    file.write_text(text)
    return file


def problem(file: Path | None = None, **overrides: object) -> str:
    """Return what is said of a configuration that cannot be."""
    with pytest.raises(ConfigError) as caught:
        load_config(file, overrides)
    assert caught.value.reason == "CONFIG_INVALID"
    return str(caught.value)


def test_without_anything_defaults_are_in_force() -> None:
    """The service starts on one machine without a word of configuration."""
    config = load_config()

    assert config == Config()
    assert config.listen == "127.0.0.1:7450"
    assert config.data_dir == Path("placement-data")
    assert config.nats.stream == "PLACEMENT_V1"
    assert config.checkpoint.message_count == 20_000


def test_environment_goes_before_the_file_and_flags_before_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each key is taken from the highest place that says it, and from there alone."""
    file = written(
        'listen = "127.0.0.1:1"\n[nats]\nurl = "nats://file:4222"\nreplicas = 3\n'
        'user = "file"\n'
    )
    monkeypatch.setenv("PLACEMENT_NATS__URL", "nats://environment:4222")
    monkeypatch.setenv("PLACEMENT_NATS__USER", "environment")

    config = load_config(file, {"nats.user": "flag", "listen": None})

    assert config.listen == "127.0.0.1:1"
    assert config.nats.replicas == 3
    assert config.nats.url == "nats://environment:4222"
    assert config.nats.user == "flag"


def test_file_in_the_working_directory_is_found() -> None:
    """placement.toml is read when no other file is named."""
    written("reflection = false", "placement.toml")
    named = written("reflection = true")

    assert not load_config().reflection
    assert load_config(named).reflection


def test_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Container files set variables that nobody filled."""
    monkeypatch.setenv("PLACEMENT_LISTEN", "")

    assert load_config().listen == Config().listen


def test_unknown_key_of_the_file_is_refused_with_the_near_one() -> None:
    """A mistyped key is never silently without effect."""
    file = written("[nats]\nreplica = 3\n")

    assert problem(file) == (
        "some.toml: nats.replica: 'replica' is not valid: no such key; is it replicas?"
    )


def test_unknown_nested_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of a table is one wherever it is said."""
    monkeypatch.setenv("PLACEMENT_CHECKPOINT__INTERVAL", "3")

    assert problem().startswith(
        "PLACEMENT_CHECKPOINT__INTERVAL: checkpoint.interval: 'interval' is not valid"
    )


def test_unknown_variable_is_told_but_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes sets PLACEMENT_PORT in every pod beside a Service named placement."""
    monkeypatch.setenv("PLACEMENT_PORT", "tcp://10.0.0.1:7450")
    monkeypatch.setenv("PLACEMENT_NATS__URL", "")

    assert "PLACEMENT_PORT" in unknown_variables()
    assert "PLACEMENT_NATS__URL" not in unknown_variables()
    assert load_config() == Config()


def test_every_problem_is_told_with_origin_value_and_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One run names all that has to be corrected."""
    monkeypatch.setenv("PLACEMENT_DEFAULT_DEADLINE_MS", "0")
    file = written("[checkpoint]\ninterval_seconds = 9999\n")

    said = problem(file, log_level="loud")

    assert "some.toml: checkpoint.interval_seconds: '9999' is not valid" in said
    assert "give seconds, 0.1 to 3600" in said
    assert "PLACEMENT_DEFAULT_DEADLINE_MS: default_deadline_ms: '0'" in said
    assert "command line: log_level: 'loud' is not valid: give debug, info" in said


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("nats.replicas", 6),
        ("nats.max_bytes", -1),
        ("nats.stream", "a b"),
        ("checkpoint.message_count", 0),
        ("default_deadline_ms", 60_001),
        ("listen", "7450"),
        ("listen", "127.0.0.1:65536"),
        ("nats.url", "http://host"),
        ("log_format", "xml"),
    ],
)
def test_value_beyond_its_bounds_is_refused(key: str, value: object) -> None:
    """Each key has bounds, and the error names the key."""
    said = problem(None, **{key: value})

    assert f"command line: {key}: " in said
    assert "is not valid: give " in said


def test_listening_to_others_needs_tls_or_a_word() -> None:
    """Nobody serves the world in plain text by accident."""
    said = problem(None, listen="0.0.0.0:7450")

    assert said.startswith("command line: listen: '0.0.0.0:7450' is not valid")
    trusted = load_config(None, {"listen": "0.0.0.0:7450", "allow_plaintext": True})
    assert trusted.allow_plaintext


def test_listening_to_others_needs_names_or_a_word() -> None:
    """Nor may everybody who reaches the service do everything by accident."""
    files = {"tls.cert_file": "c.pem", "tls.key_file": "k.pem"}
    said = problem(None, listen="0.0.0.0:7450", **files)

    assert "tls.client_ca_file" in said
    assert "allow_anonymous" in said
    open_to_all = {"listen": "0.0.0.0:7450", **files, "allow_anonymous": True}
    assert load_config(None, open_to_all).allow_anonymous
    asked = {"tls.client_ca_file": "a.pem", "tls.trust_domain": "placement.test"}
    named = load_config(None, {"listen": "0.0.0.0:7450", **files, **asked})
    assert named.tls.trust_domain == "placement.test"
    assert "trust_domain" in problem(None, **files, **{"tls.client_ca_file": "a.pem"})
    assert "domain name" in problem(
        None, **files, **(asked | {"tls.trust_domain": "A"})
    )


def test_shared_port_has_to_be_named() -> None:
    """Any free port would be another one for each of those who are to share it."""
    with pytest.raises(ConfigError) as raised:
        load_config(overrides={"listen": "127.0.0.1:0", "reuse_port": True})

    [(origin, problem)] = raised.value.problems
    assert (origin, problem.field) == ("command line", "listen")


def test_half_a_key_pair_is_refused() -> None:
    """A certificate serves nothing without its key."""
    said = problem(None, **{"tls.cert_file": "c.pem"})

    assert "give both cert_file and key_file" in said


def test_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in a value's text, nor in an error about it or beside it."""
    monkeypatch.setenv("PLACEMENT_NATS__PASSWORD", "hunter2")

    config = load_config()
    in_url = problem(None, **{"nats.url": "nats://me:hunter2@host:4222"})
    beside = problem(written('[nats]\npassword = ["hunter2"]\nreplicas = 9\n'))

    in_table = problem(written("[agent.sources.iad]\npassword = 4711\n"))
    assert config.nats.password.get_secret_value() == "hunter2"
    assert "4711" not in in_table
    assert "hunter2" not in f"{config!r} {config.model_dump(mode='json')}"
    assert "hunter2" not in in_url
    assert "hunter2" not in beside


@pytest.mark.parametrize(
    "text", ["listen = ", "\udcff", "[nats]\n[nats]", "a = " + "[" * 3_000]
)
def test_file_that_is_no_toml_is_refused(text: str) -> None:
    """The error names the file and where it cannot be read."""
    file = Path("some.toml")
    file.write_bytes(text.encode("utf-8", "surrogateescape"))

    assert "some.toml" in problem(file)
    assert "correct the TOML" in problem(file)


def test_table_is_a_table() -> None:
    """A value where keys belong is told how to be a table."""
    assert "nats: '3' is not valid: give a table: [nats]" in problem(written("nats=3"))


def test_missing_file_is_refused() -> None:
    """A file that is named must be there."""
    assert "'nowhere.toml' is not valid: No such file" in problem(Path("nowhere.toml"))


def test_configuration_never_changes() -> None:
    """What was read once holds for the whole run."""
    config = load_config()

    with pytest.raises(ValidationError):
        config.nats.__setattr__("replicas", 3)


def test_demonstration_gets_none_of_our_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A service of one's own must not find another's log."""
    monkeypatch.setenv("PLACEMENT_NATS__URL", "nats://production:4222")
    monkeypatch.setenv("SOMETHING_ELSE", "1")

    environment = foreign_environment()

    assert "SOMETHING_ELSE" in environment
    assert not [name for name in environment if name.startswith("PLACEMENT_")]


@pytest.mark.parametrize(
    ("text", "address", "local"),
    [
        ("127.0.0.1:0", ("127.0.0.1", 0), True),
        ("localhost:7450", ("localhost", 7450), True),
        ("[::1]:7450", ("::1", 7450), True),
        ("[::]:7450", ("::", 7450), False),
        ("example.com:443", ("example.com", 443), False),
    ],
)
def test_address_is_host_and_port(
    text: str, address: tuple[str, int], *, local: bool
) -> None:
    """Names, IPv4 and bracketed IPv6 are understood."""
    assert split_address(text) == address
    assert is_loopback(text) == local


@pytest.mark.parametrize(
    "text", ["", ":1", "host", "host:", "::1:7450", "h:1x", "[h]:1"]
)
def test_address_without_host_or_port_is_refused(text: str) -> None:
    """What could be meant in two ways is no address."""
    with pytest.raises(ValueError, match="give HOST:PORT"):
        split_address(text)


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("metrics_listen", "7452"),
        ("watchdog_seconds", 0.5),
        ("watchdog_seconds", -1),
        ("checkpoint.generation_count", 4),
        ("checkpoint.generation_interval_seconds", 0),
    ],
)
def test_what_watches_the_service_has_bounds(key: str, wrong: object) -> None:
    """Off is a value of its own; nothing ends a service that is merely slow."""
    said = problem(None, **{key: wrong})

    assert said.startswith(f"command line: {key}: ")
    assert load_config(None, {"watchdog_seconds": 0}).watchdog_seconds == 0
    assert load_config().metrics_listen == ""
