"""How the configuration says to reach NATS, in the words of the adapter."""

from placement.adapters.jetstream.settings import JetStreamSettings
from placement.config import NatsConfig, read_secret


def nats_settings(nats: NatsConfig, inbox: str) -> JetStreamSettings:
    """Return how to reach the servers that *nats* names; it names some.

    *inbox* is where we are answered, unless the configuration says otherwise. Raises
    InputError for a password that is not there.
    """
    password = nats.password.get_secret_value()
    return JetStreamSettings(
        servers=tuple(nats.url.split(",")),
        stream=nats.stream,
        replicas=nats.replicas,
        max_bytes=nats.max_bytes or None,
        inbox_prefix=nats.inbox_prefix or inbox,
        credentials_file=nats.credentials_file,
        nkey_seed_file=nats.nkey_seed_file,
        user=nats.user or None,
        password=password
        or read_secret(nats.password_file, "nats.password_file")
        or None,
        tls_ca_file=nats.ca_file,
        tls_certificate_file=nats.cert_file,
        tls_key_file=nats.key_file,
    )
