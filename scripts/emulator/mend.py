"""A part of ministack may be replaced only while it lacks what it needs."""

import inspect


def lacking(module, name, word):
    """A function of ministack. `word` is one that it would have if it did what AWS does."""
    function = getattr(module, name)
    if word in inspect.getsource(function):
        raise SystemExit(f"ministack's {module.__name__}.{name} has {word!r} now: compare it with AWS, and remove its mend")
    return function


def absent(known, name):
    """`name`, which ministack does not know."""
    if name in known:
        raise SystemExit(f"ministack knows {name} now: remove it from its mends")
    return name
