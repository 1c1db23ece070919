"""Run in an environment that holds the wheel and the `runtime` extra alone, not as a test:

    python -P tests/wheel_check.py docs/samples/otter.jpg

Segments the photograph and checks what is installed and what was imported. `-P` keeps the folder of
this script off the path, so that the wheel answers, not the checkout.
"""
import sys
from importlib.metadata import distributions
from importlib.resources import files
from pathlib import Path

from oace_tf import TapSegmenter
from oace_tf.demo import samples

ALLOWED = {"oace_tf", "numpy", "cv2", "ai_edge_litert"}
OF_VENV = {"_distutils_hack"}  # pip brings setuptools, whose .pth file is read at every start

photograph = Path(sys.argv[1])
package = files("oace_tf")
assert "site-packages" in str(package), f"{package} is no installed package"
mask = TapSegmenter().segment(photograph, [(560, 340)])
assert mask.dtype == bool and 0.02 < mask.mean() < 0.6, mask.mean()
assert (package / "py.typed").is_file()
assert samples.read_sample("otter.jpg") == photograph.read_bytes()
assert all((package / "demo" / "page" / name).is_file()
           for name in ("index.html", "page.js", "show.js", "state.js", "engine.js",
                        "benchmark.js", "style.css", "icon.svg"))

packages = Path(str(package)).parent
imported = {name.partition(".")[0] for name, module in sys.modules.items()
            if (getattr(module, "__file__", None) or "").startswith(str(packages))}
foreign = imported - ALLOWED - OF_VENV
assert not foreign, f"imported besides numpy, OpenCV and LiteRT: {sorted(foreign)}"
installed = sorted(one.metadata["Name"] for one in distributions())
assert not {"keras", "tensorflow", "starlette"} & set(installed), installed
print(f"object {100 * mask.mean():.1f} % of {photograph.name}")
print("imported", ", ".join(sorted(imported)))
print("installed", ", ".join(installed))
