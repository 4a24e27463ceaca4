"""Runs the commands of a Markdown file's `console` blocks, and compares what they print with what the file shows.

    console.py FILE [OLD=NEW…]

A line that begins with `$ ` is a command; it goes on after a `\\` at the end of a line. The lines below it are its
output. All blocks run in one shell, so that a variable of one is known in the next. Each command must succeed. Times and
entity tags in outputs may differ. A block is left out if `<!-- not run: reason -->` stands before it. OLD=NEW replaces a
text in the commands, such as an address.
"""

import pathlib
import re
import subprocess
import sys

BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>.+?) -->\s*)?^(?P<indent> *)```console\n(?P<text>.*?)^ *```", re.M | re.S)
CHANGING = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r'"\d+-[0-9a-f]{16}"'), "<etag>"),
]


def commands(text):
    """The commands of a block, each with the output that is shown below it."""
    found = []
    for line in text.splitlines():
        if found and found[-1][0].endswith("\\"):
            found[-1][0] += "\n" + line
        elif line.startswith("$ "):
            found.append([line[2:], ""])
        elif found:
            found[-1][1] += line + "\n"
    return found


def stable(output):
    """An output without what changes from run to run."""
    for pattern, name in CHANGING:
        output = pattern.sub(name, output)
    return "\n".join(line.rstrip() for line in output.strip().splitlines())


class Shell:
    """A bash that keeps its variables from command to command."""

    MARK = "--- end of command"

    def __init__(self):
        pipe = subprocess.PIPE
        self.bash = subprocess.Popen(["bash", "-o", "pipefail"], stdin=pipe, stdout=pipe, text=True)

    def run(self, command):
        """What a command prints, and its exit code."""
        self.bash.stdin.write(f"{command}\nprintf '\\n{self.MARK} %s\\n' $?\n")
        self.bash.stdin.flush()
        output = ""
        for line in self.bash.stdout:
            if line.startswith(self.MARK):
                return output, int(line.rsplit(" ", 1)[1])
            output += line
        return output, self.bash.wait()


def main():
    page = pathlib.Path(sys.argv[1])
    replaced = [pair.split("=", 1) for pair in sys.argv[2:]]
    shell, wrong, run = Shell(), 0, 0
    for block in BLOCK.finditer(page.read_text()):
        text = re.sub(rf"(?m)^{block['indent']}", "", block["text"])
        for command, shown in commands(text):
            if block["reason"]:
                print(f"  not run ({block['reason']}): {command}")
                continue
            used = command
            for old, new in replaced:
                used = used.replace(old, new)
            output, code = shell.run(used)
            run += 1
            if code != 0:
                print(f"{page}: exit code {code}: {command}\n{output}", file=sys.stderr)
            elif shown.strip() and stable(shown) != stable(output):
                print(f"{page}: {command}\nshows:\n{shown}prints:\n{output}", file=sys.stderr)
            else:
                continue
            wrong += 1
    print(f"  {run} commands of {page} were run, {wrong} fail or print something else")
    return 1 if wrong or not run else 0


if __name__ == "__main__":
    sys.exit(main())
