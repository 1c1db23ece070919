"""Demo: a local page on which a tap becomes a cutout (`python -m oace_tf.demo`)."""
