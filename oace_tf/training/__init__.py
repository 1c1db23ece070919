"""Training: scenes and simulated clicks (numpy), losses (Keras), the trainer and its checkpoints."""
