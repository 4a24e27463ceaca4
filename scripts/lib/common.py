"""What the scripts share: where the repository is, sample events, and how a claim is checked."""

import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
EVENTS = ROOT / "events"


class Failure(Exception):
    """A claim that does not hold."""


def check(claim, holds, otherwise=""):
    """Prints a claim that holds, and fails with one that does not."""
    if not holds:
        raise Failure(f"not so: {claim}" + (f"\n     got: {otherwise}" if otherwise != "" else ""))
    print(f"  {claim}")


def event(name):
    """A file of `events/`, by its path without `.json`."""
    return json.loads((EVENTS / f"{name}.json").read_text())
