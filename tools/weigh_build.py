"""Says what the built package weighs zipped, and fails above 5 MB: size is part of every cold start."""

import sys
import zipfile
from io import BytesIO
from pathlib import Path

LIMIT_BYTES = 5_000_000
BUILT = Path(__file__).parents[1] / ".aws-sam/build/RollBackFunction"


def zipped_bytes(folder: Path) -> int:
    """The size of a folder as `sam deploy` uploads it, in bytes."""
    package = BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    return package.tell()


if __name__ == "__main__":
    size = zipped_bytes(BUILT)
    print(f"the package weighs {size / 1e6:.1f} MB, {LIMIT_BYTES / 1e6:.0f} MB is the limit")
    sys.exit(size > LIMIT_BYTES)
