"""Names the crates that both functions use with different features. Cargo compiles each of them, and all crates that
depend on it, once for each function. shared/Cargo.toml can turn the missing features on."""

import collections
import re
import subprocess

from common import ROOT


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
    # Each function has its own event types; few crates depend on them.
    if api[crate] != collector[crate] and crate != "aws_lambda_events":
        differ = ", ".join(sorted(api[crate] ^ collector[crate]))
        print(f"  {crate} is compiled twice, because only one function has these features on: {differ}")
