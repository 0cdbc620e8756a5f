"""What the audit of the dependencies makes of pip-audit's report."""

from __future__ import annotations

from scripts.audit import judge

SOUND = {"name": "a", "version": "1", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "not found"}


def test_sound_packages_are_counted() -> None:
    assert judge([SOUND, SOUND]) == (True, ["2 packages, no known vulnerability"])


def test_a_vulnerability_is_named_with_the_version_that_mends_it() -> None:
    bad = {"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
    assert judge([SOUND, bad]) == (False, ["c 2: PYSEC-1, mended in 3"])
    bad["vulns"] = [{"id": "PYSEC-1", "fix_versions": []}]
    assert judge([bad]) == (False, ["c 2: PYSEC-1, mended in no version yet"])


def test_one_package_that_could_not_be_checked_is_no_success() -> None:
    assert judge([SOUND, SKIPPED]) == (False, ["b: not found"])


def test_when_none_could_be_checked_nothing_is_known() -> None:
    assert judge([SKIPPED, SKIPPED]) == (None, [])
