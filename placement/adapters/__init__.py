"""The ports made real: a log over NATS JetStream, its child process, memory twins."""
