"""Who may do what in NATS: users, their permissions, and a server's configuration."""
