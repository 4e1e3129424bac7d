"""What pyproject.toml cannot say: a wheel brings the request's parser along, which lives with the functions."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PARSER = Path("functions/rollout")


class WithTheParser(build_py):
    """Copies it to where `tidegate.domain` looks; from the source, it is found where it is."""

    def run(self) -> None:
        """Build as usual, and copy."""
        super().run()
        if not self.editable_mode:
            built = Path(self.build_lib, "tidegate", PARSER)
            shutil.copytree(PARSER, built, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)


setup(cmdclass={"build_py": WithTheParser})
