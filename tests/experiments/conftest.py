"""Fixtures for experiments: the tiny converted pair of the export tests."""
from tests.export.conftest import made  # noqa: F401 (fixture)
