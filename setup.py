"""The one thing that setup.cfg cannot say: the wheel carries the samples of docs/samples."""
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithSamples(build_py):
    """Builds the package and copies the sample photographs to oace_tf/demo/samples."""

    def run(self):
        """Build; a checkout that is installed in place finds them where they are."""
        super().run()
        if not self.editable_mode:
            source = Path(__file__).resolve().parent / "docs" / "samples"
            target = Path(self.build_lib) / "oace_tf" / "demo" / "samples"
            target.mkdir(parents=True, exist_ok=True)
            for file in sorted(source.iterdir()):
                shutil.copyfile(file, target / file.name)


setup(cmdclass={"build_py": BuildWithSamples})
