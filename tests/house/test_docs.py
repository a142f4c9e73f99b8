#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Documents say what the sources do: the table of codes, man pages, and links that lead somewhere.

usage: test_docs.py SOURCE_ROOT PHASES_PROGRAM
"""
import pathlib
import re
import subprocess
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


def targets_exist(root):
    """Each `make TARGET` of a document is one of the Makefile, and each of those is told to contributors."""
    makefile = (root / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, flags=re.M)[1].split())
    rules = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.M))
    check(targets == rules, f"Makefile: .PHONY and rules differ: {targets ^ rules}")
    named = {}
    for path in [*root.glob("*.md"), *root.glob("docs/*.md")]:
        for target in re.findall(r"(?:^|`)make +([a-z][a-z-]*)", path.read_text(), flags=re.M):
            named.setdefault(target, path.name)
    check(len(named) >= 5, "no make targets found in the documents")
    for target, name in named.items():
        check(target in rules, f"{name}: there is no make {target}")
    contributing = (root / "CONTRIBUTING.md").read_text()
    for target in targets - {"all", "install", "clean"}:
        check(f"make {target}" in contributing, f"make {target} is not in CONTRIBUTING.md")


def programs_exist(root):
    """What documents and CI call in scripts/, tests/ and bench/ is there and can be run."""
    for path in [*root.glob("*.md"), *root.glob("docs/*.md"), root / "Makefile", root / ".ci/run"]:
        text = path.read_text()
        for name in re.findall(r"(?<![\w./-])((?:scripts|bench|tests/powerloss)/[a-z_]+(?:\.py)?)(?![\w/.{*-])", text):
            file = root / name
            check(file.exists() or (root / f"{name}.c").exists(), f"{path.name}: {name} does not exist")
            check(not file.is_file() or file.stat().st_mode & 0o111, f"{path.name}: {name} is not executable")


def page(root, name):
    return (root / "docs/man" / name).read_text().replace("\\-", "-")


def pages_are_complete(root):
    """Each key of module.ini and each option that --help tells stands in its man page, and each default there is the code's."""
    config = (root / "src/module/config.c").read_text()
    keys = re.findall(r'^\tKEY\("([a-z-]+)"', config, flags=re.M)
    described = dict(re.findall(r"^\.B ([a-z-]+)\n\(([^)]*)\)", page(root, "module.ini.5"), flags=re.M))
    check(len(keys) > 20, "no table of keys found in src/module/config.c")
    check(set(keys) == set(described), f"module.ini.5: keys differ: {set(keys) ^ set(described)}")
    shown = dict(re.findall(r'"; ([a-z-]+) = ([^"\\]+)\\n"', config))
    check(len(shown) > 15, "no defaults found in src/module/config.c")
    for key, value in shown.items():
        check(described.get(key) == value, f"module.ini.5: {key} is {value} by default")
    for program, source in (("dfota.1", "src/cli/main.c"), ("dfotad.8", "src/module/daemon.c")):
        text = (root / source).read_text()
        options = set(re.findall(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)", text)) | set(re.findall(r'\{ "([a-z-]+)", (?:required|no)_arg', text))
        check(len(options) >= 4, f"no options found in {source}")
        told = set(re.findall(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)", page(root, program)))
        for option in sorted(options - told - {"help", "version"} if program == "dfota.1" else options - told):
            check(False, f"{program}: --{option} is missing")


def phases_match(root, phases):
    """The table of the journal's phases is the one that the updater goes by."""
    text = (root / "docs/power-fail.md").read_text()
    table = subprocess.run([phases], capture_output=True, text=True, check=True).stdout
    check(table.count("\n") > 8 and table in text, f"docs/power-fail.md: the table of phases is not what {phases} prints:\n{table}")


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    codes_match(root)
    links_lead_somewhere(root)
    commands_are_documented(root)
    targets_exist(root)
    programs_exist(root)
    pages_are_complete(root)
    phases_match(root, sys.argv[2])
    for failure in failures:
        print(failure)
    return 1 if failures else 0


sys.exit(main())
