"""Training: one loop over objectives, exact checkpoints, one process or many."""
