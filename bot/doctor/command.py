"""`deepselfie doctor`."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.doctor.finding import Finding

DESCRIPTION = """\
Check what the bot needs: its settings, Redis, each account's token, scopes and stream, the clock, and the
judge; one line each, with what to do where something is wrong. Nothing is posted or changed.

Run it with the environment that listen, work and respond get. Where only one of them runs, name it: a
machine for workers needs no account, and one for the listener no judge."""


def doctor(arguments: Sequence[str]) -> int:
    """Check everything."""
    parser = argparse.ArgumentParser(
        prog="deepselfie doctor",
        description=DESCRIPTION,
        epilog="Exit status: 0 if nothing failed, 1 else; warnings do not count.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "process",
        nargs="?",
        choices=["listen", "work", "respond"],
        metavar="PROCESS",
        help="check only what this one needs: listen, work or respond",
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object: findings, each with name, state and words"
    )
    options = parser.parse_args(arguments)
    from bot.doctor.examination import examine

    found = examine(os.environ, options.process)
    if options.json:
        findings = list(found)
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    else:
        findings = _told(found)
    return 1 if any(finding.state == "failed" for finding in findings) else 0


def _told(found: Iterable[Finding]) -> list[Finding]:
    """Print each finding as soon as it is there, and how it all went."""
    findings = []
    for finding in found:
        findings.append(finding)
        print(f"{finding.state:8} {finding.name}: {finding.words}", flush=True)
    failed, warnings = (sum(f.state == state for f in findings) for state in ("failed", "warning"))
    print(f"\n{failed} failed, {warnings} warning{'' if warnings == 1 else 's'}")
    return findings
