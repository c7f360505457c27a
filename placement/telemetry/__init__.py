"""What the service tells about itself: logs, and later metrics and traces."""
