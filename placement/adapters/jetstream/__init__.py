"""The event log in a NATS JetStream stream."""
