"""`make bench`: what a call costs, beside named peers in one process. It reports; nothing fails."""
