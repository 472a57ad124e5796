"""The image of the pods' first process, the only one that a cluster cannot start without."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from e2e.cluster import archive
from e2e.cluster.configuration import PAUSE_IMAGE
from e2e.cluster.programs import BUILDS
from e2e.cluster.settings import Settings


def ensure(settings: Settings) -> Path:
    """The archive of the image; made when it is missing or older than its program."""
    digest = next(build for build in BUILDS if build.name == "pause").digest()
    target = settings.images / f"pause-{digest[:12]}.tar"
    if not target.exists():
        settings.images.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as root:
            shutil.copy2(settings.bin / "pause", root)
            archive.write(target, PAUSE_IMAGE, Path(root), {"Entrypoint": ["/pause"], "User": "65535:65535"})
    return target
