"""The gRPC service: requests in, the core's answers out."""
