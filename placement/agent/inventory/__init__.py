"""The whole registry, read once in a while: imports what is there, heals losses."""
