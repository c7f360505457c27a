"""The composition root of an agent, which stands beside one registry."""
