"""Measurements of placement itself: its figures beside their ceilings and baselines."""
