"""Names the crates that both functions use with different features: each is compiled once for each function, and with
it all that is built on it. shared/Cargo.toml can turn the missing features on."""

import collections
import re
import subprocess
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def features(function):
    command = "cargo tree --locked --target aarch64-unknown-linux-gnu --edges normal,features --prefix none"
    found = collections.defaultdict(set)
    for line in subprocess.check_output(command.split(), cwd=ROOT / function, text=True).splitlines():
        if feature := re.match(r'(\S+) feature "([^"]+)"', line):
            found[feature[1]].add(feature[2])
        elif line:
            found[line.split()[0]]
    return found


api, collector = features("api-lambda"), features("progress-collector")
for crate in sorted(set(api) & set(collector)):
    # The events that a function takes are its own; little is built on them.
    if api[crate] != collector[crate] and crate != "aws_lambda_events":
        differ = ", ".join(sorted(api[crate] ^ collector[crate]))
        print(f"  {crate} is built twice, as these features are on in one function alone: {differ}")
