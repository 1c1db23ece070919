"""Earlier name of `python -m oace_tf.average_weights`."""
from oace_tf.average_weights import main

if __name__ == "__main__":
    raise SystemExit(main(prog="python -m oace_tf.mean"))
