"""Looks at all that placement needs, and says of each what is wrong and what to do."""
