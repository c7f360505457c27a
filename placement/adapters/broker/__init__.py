"""Our own nats-server, for those who have none."""
