"""The console: what people read of the service in a browser; it changes nothing."""
