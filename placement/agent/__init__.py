"""What stands beside each registry: feeds that turn its own words into events.

A feed is a pure translation; the receiver around it moves bytes. The region of an event
is the configured one of the registry, never a word of the notification.
"""
