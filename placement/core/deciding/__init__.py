"""Decisions: what is copied, withheld and removed, and the guardrails they keep to."""
