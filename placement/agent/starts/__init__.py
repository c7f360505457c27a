"""What schedulers say of machines: pure translations, and readers of their streams."""
