"""One pure translation for each kind of registry, and what they share."""
