"""Training: scenes and simulated clicks (numpy), losses (Keras), trainer, checkpoints."""
