"""What was scored, kept so that it can be explained, recomputed, learned from and erased."""
