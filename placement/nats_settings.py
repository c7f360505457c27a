"""How the configuration says to reach NATS, in the words of the adapter."""

from placement.adapters.jetstream.settings import JetStreamSettings
from placement.config import NatsConfig


def nats_settings(nats: NatsConfig) -> JetStreamSettings:
    """Return how to reach the servers that *nats* names; it names some."""
    return JetStreamSettings(
        servers=tuple(nats.url.split(",")),
        stream=nats.stream,
        replicas=nats.replicas,
        max_bytes=nats.max_bytes or None,
        credentials_file=nats.credentials_file,
        user=nats.user or None,
        password=nats.password.get_secret_value() or None,
        tls_ca_file=nats.ca_file,
        tls_certificate_file=nats.cert_file,
        tls_key_file=nats.key_file,
    )
