"""What the checks share: the files, C without comments, TAP."""
import os
import re
import subprocess

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def files(*patterns):
    """Files of the tree (tracked, or new and not ignored) whose path matches one of the patterns."""
    try:
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, check=True).stdout.decode().split("\n")
    except (OSError, subprocess.CalledProcessError):
        listed = [os.path.relpath(os.path.join(folder, name))
                  for top in ("src", "test", "doc") for folder, _, names in os.walk(top) for name in names]
    return sorted(p for p in listed if p and os.path.isfile(p) and any(re.search(x, p) for x in patterns))


def code(path, strings=False):
    """The text of a C file with comments (and the insides of strings) blanked; lines stay where they are."""
    def blank(match):
        token = match.group(0)
        if token[0] == "/":
            return re.sub(r"[^\n]", " ", token)
        return token if strings else token[0] + " " * (len(token) - 2) + token[-1]
    return TOKEN.sub(blank, open(path, errors="replace").read())


def table(name):
    """Lines of a data file beside the checks, without comments: words up to '#', and what follows it."""
    rows = []
    for line in open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name)):
        words, _, reason = line.partition("#")
        if words.strip():
            rows.append((words.split(), reason.strip()))
    return rows


class Report:
    """One test per call; problems are listed below it."""

    def __init__(self):
        self.count = 0
        self.failed = False

    def test(self, name, problems):
        self.count += 1
        problems = list(problems)
        print("%s %d - %s" % ("not ok" if problems else "ok", self.count, name))
        for problem in problems[:200]:
            print("#   %s" % problem)
        self.failed |= bool(problems)

    def end(self):
        print("1..%d" % self.count)
        return 1 if self.failed else 0
