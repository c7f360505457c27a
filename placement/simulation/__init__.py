"""The back-test: recorded deploys, replayed through the real fold on their own time."""
