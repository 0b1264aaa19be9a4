"""What pip has to install for one kind of image: what pyproject.toml says that deepselfie depends on.

    python deploy/requirements.py bot|cpu|gpu|sandbox

Apart from the code, so that an image whose code alone has changed installs nothing anew.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

# Kind of image → the extras of deepselfie that it has.
EXTRAS = {"bot": ["bluesky", "x"], "cpu": ["cpu"], "gpu": ["gpu"], "sandbox": ["sandbox"]}
# What makes pictures smaller that Bluesky finds too large.
MORE = {"bot": ["pillow"]}
OURS = re.compile(r"deepselfie\[(.+)\]")


def requirements(runtime: str) -> list[str]:
    """One requirement a line, as pip reads them.

    Raises:
        SystemExit: There is no such kind of image.
    """
    if runtime not in EXTRAS:
        sys.exit(f"RUNTIME is {runtime!r}; it has to be one of {', '.join(EXTRAS)}")
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    found = [*project["dependencies"], *MORE.get(runtime, [])]
    for extra in EXTRAS[runtime]:
        found += _flat(extra, extras)
    return found


def _flat(extra: str, extras: dict[str, list[str]]) -> Iterator[str]:
    for requirement in extras[extra]:
        if ours := OURS.fullmatch(requirement):
            for other in ours[1].split(","):
                yield from _flat(other, extras)
        else:
            yield requirement


if __name__ == "__main__":
    sys.stdout.write("\n".join(requirements(*sys.argv[1:])) + "\n")
