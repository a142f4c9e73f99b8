#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Documents say what the sources do: the table of codes, and links that lead somewhere.

usage: test_docs.py SOURCE_ROOT
"""
import pathlib
import re
import sys

failures = []


def check(good, text):
    if not good:
        failures.append(text)


def codes_match(root):
    source = (root / "src/base/error.c").read_text()
    table = source[source.index("codes[] = {"):]
    table = table[:table.index("};")]
    in_code = {int(c): t for c, t in re.findall(r'\{ (\d+), "([^"]+)" \}', table)}
    in_docs = {}
    for line in (root / "docs/at-commands.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 4 and re.fullmatch(r"\d+", cells[0]):
            check(int(cells[0]) not in in_docs, f"code {cells[0]} stands twice in docs/at-commands.md")
            in_docs[int(cells[0])] = cells[2]
    check(len(in_code) > 20, "no table of codes found in src/base/error.c")
    check(in_code == in_docs, f"codes differ: {sorted(set(in_code.items()) ^ set(in_docs.items()))}")


def links_lead_somewhere(root):
    for path in [*root.glob("*.md"), *root.glob("docs/*.md")]:
        text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if "://" not in target:
                check((path.parent / target).exists(), f"{path.name}: link to {target}")


def commands_are_documented(root):
    """Each subcommand of the tool stands in its man page and in the README or a document."""
    names = re.findall(r'^\t\{ "([a-z]+)", cmd_', (root / "src/cli/main.c").read_text(), flags=re.M)
    text = "".join(path.read_text() for path in [root / "README.md", *root.glob("docs/*")] if path.is_file())
    check(len(names) >= 8, "no table of subcommands found in src/cli/main.c")
    for name in names:
        check(f"dfota {name}" in text, f"dfota {name} is not documented")


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    codes_match(root)
    links_lead_somewhere(root)
    commands_are_documented(root)
    for failure in failures:
        print(failure)
    return 1 if failures else 0


sys.exit(main())
