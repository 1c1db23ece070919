"""Other people's networks and weights: their architectures, and how their files are read."""
