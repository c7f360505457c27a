"""What decisions came to: copies, their cost, what they saved, and what was missed."""
