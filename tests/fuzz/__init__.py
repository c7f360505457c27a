"""Hostile input for every part that reads what others wrote: seeded, and by target."""
