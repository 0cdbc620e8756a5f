"""`make audit`: whether a package that the lock files pin has a known vulnerability.

pip-audit asks PyPI about each. Where that cannot be reached (a build machine without a way out), nothing was found and
nothing was checked either: that is said, and fails only with `AUDIT=required`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LOCKS = ("requirements/runtime.txt", "requirements/dev.txt")
SECONDS = 300


def judge(packages: Sequence[dict[str, Any]]) -> tuple[bool | None, list[str]]:
    """Return whether all is well, None where nothing could be checked, and what to tell.

    Args:
        packages: pip-audit's list: name, version, and `vulns` or `skip_reason` of each.
    """
    skipped = [package for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):
        return None, []
    lines = [
        f"{package['name']} {package['version']}: {finding['id']}, mended in "
        f"{', '.join(finding['fix_versions']) or 'no version yet'}"
        for package in packages
        for finding in package.get("vulns", ())
    ]
    lines += [f"{package['name']}: {package['skip_reason']}" for package in skipped]
    return not lines, lines or [f"{len(packages)} packages, no known vulnerability"]


def audit(lock: str) -> tuple[bool | None, list[str]]:
    """Run pip-audit for one lock file; see `judge`."""
    command = ["-m", "pip_audit", "--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json"]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, *command, "-r", lock], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return None, []
    try:
        return judge(json.loads(done.stdout)["dependencies"])
    except ValueError:  # no report: it could not even ask
        return None, done.stderr.strip().splitlines()[-1:]


def main() -> int:
    """Audit every lock file. Returns the exit code."""
    code = 0
    for lock in LOCKS:
        well, lines = audit(lock)
        if well is None:
            lines = [*lines, "skipped: the data about vulnerabilities cannot be reached from here"]
            well = os.environ.get("AUDIT") != "required"
        sys.stdout.writelines(f"{Path(lock).stem}: {line}\n" for line in lines)
        code = code if well else 1
    return code


if __name__ == "__main__":
    sys.exit(main())
