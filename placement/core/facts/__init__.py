"""The facts that the log holds, as parsed, frozen values; see ``events.proto``."""
