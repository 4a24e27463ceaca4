"""Checks that the programs which `sam build` made start on Amazon Linux 2023.

    programs.py FOLDER

FOLDER has a folder for each program, with its bootstrap.
"""

import pathlib
import re
import subprocess
import sys

from common import Failure, check

# Amazon Linux 2023 has this version of glibc.
NEWEST_GLIBC = (2, 34)


def readelf(*words):
    return subprocess.check_output(["readelf", *words], text=True)


def main():
    programs = sorted(pathlib.Path(sys.argv[1]).glob("*/bootstrap"))
    check("both programs are there", len(programs) == 2, programs)
    for program in programs:
        machine = re.search(r"Machine: +(.*)", readelf("--file-header", program))[1]
        size = program.stat().st_size / 1e6
        check(f"{program.parent.name}: for AArch64, {size:.1f} MB", machine == "AArch64", machine)
        versions = re.findall(r"GLIBC_([\d.]+)", readelf("--version-info", "--wide", program))
        newest = max(tuple(map(int, version.split("."))) for version in versions)
        check(f"it needs glibc {'.'.join(map(str, newest))} at most", newest <= NEWEST_GLIBC)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
