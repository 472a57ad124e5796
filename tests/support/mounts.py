"""Mounted ConfigMaps and Secrets as the kubelet makes them: files behind `..data`, which is swapped as a whole."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path


class Mount:
    """A mounted directory. Each `put` replaces all of its files at once; without any it is empty, and still mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._versions = 0
        folder.mkdir(exist_ok=True)

    def put(self, files: Mapping[str, bytes | str]) -> None:
        """Let these be the files."""
        self._versions += 1
        version = self.folder / f"..version_{self._versions}"
        version.mkdir()
        for name, content in files.items():
            (version / name).write_bytes(content.encode() if isinstance(content, str) else content)
        data = self.folder / "..data"
        former = data.resolve() if data.exists() else None
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.rename(data)
        self._link(files)
        if former is not None:
            shutil.rmtree(former)

    def _link(self, files: Mapping[str, bytes | str]) -> None:
        for path in self.folder.iterdir():
            if not path.name.startswith("..") and path.name not in files:
                path.unlink()
        for name in files:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
