#!/usr/bin/env python3
"""Writes the manual pages beside this script from the program's own tables.

    deploy/man/generate.py PROGRAM           writes streamgate.8 and streamgate.yaml.5
    deploy/man/generate.py PROGRAM --check   fails if they differ from the ones that are there

The options come from `PROGRAM --help`, the keys from conf/streamgate.yaml (a test holds that file
to the loader's table), the reasons from common/reason.h, and the orders and signals from README.md.
"""

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KEY = re.compile(r"^( *)([a-z_]+):(?: (.*))?$")


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("'", "\\(aq")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def inline(text):
    """Markdown's `code` becomes bold; other marks of README's tables go."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text.replace("**", "").replace("\\|", "|"))
    parts = text.split("`")
    return "".join(f"\\fB{escape(p)}\\fR" if i % 2 else escape(p) for i, p in enumerate(parts))


def paragraphs(lines):
    """Comment lines, without their mark, as roff: indented ones are examples."""
    out, text = [], []

    def flush():
        if text:
            out.append(inline(" ".join(text)))
            text.clear()

    example = False
    for line in [*lines, ""]:
        if line.startswith("  "):
            flush()
            if not example:
                out.append(".PP\n.RS 4\n.nf")
            example = True
            out.append(escape(line[2:]))
            continue
        if example and line:
            out.append(".fi\n.RE\n.PP")
            example = False
        if line:
            text.append(line)
        else:
            flush()
            if not example:
                out.append(".PP")
    flush()
    if example:
        out.append(".fi\n.RE")
    while out and out[-1] == ".PP":
        out.pop()
    return "\n".join(out)


def comment_of(line):
    body = line.strip()[1:]
    return body[1:] if body.startswith(" ") else body


def configuration():
    """The keys of the manual: a list of (full name, default, lines of its comment)."""
    keys, comment, path, head = [], [], [], None
    for line in read("conf", "streamgate.yaml").splitlines():
        match = KEY.match(line)
        if line.strip().startswith("#"):
            comment.append(comment_of(line))
        elif match:
            indent, name, default = match.groups()
            path = [*path[: len(indent) // 2], name]
            keys.append((".".join(path), default, comment))
            comment = []
        elif head is None:
            head, comment = comment, []
    return head, keys


def sections(keys):
    return {name.rpartition(".")[0] for name, _, _ in keys if "." in name}


def yaml_page(version):
    head, keys = configuration()
    parents = sections(keys)
    out = [
        f'.TH STREAMGATE.YAML 5 "" "streamgate {version}" "Streamgate"',
        ".SH NAME\nstreamgate.yaml \\- configuration of streamgate(8)",
        ".SH DESCRIPTION",
        paragraphs(head),
        ".SH KEYS",
    ]
    for name, default, comment in keys:
        if name in parents:
            out.append(f".SS {escape(name)}\n{paragraphs(comment)}".rstrip())
            continue
        value = f"\\fB{escape(default)}\\fR" if default else "empty"
        out.append(f".TP\n.B {escape(name)}\nDefault: {value}.\n.IP\n{body_of(comment)}")
    out.append(".SH SEE ALSO\n.BR streamgate (8)")
    return "\n".join(out) + "\n"


def body_of(comment):
    """A key's text stays indented: in it .PP is .IP."""
    return paragraphs(comment).replace(".PP", ".IP")


def table_of_readme(first_cell):
    """The rows of README's table whose head begins with this cell."""
    rows = []
    inside = False
    for line in read("README.md").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and cells[0] == first_cell:
            inside = True
        elif inside and not cells:
            return rows
        elif inside and not set(cells[0]) <= set("- "):
            rows.append(cells)
    return rows


def options(program):
    """(option, text) from --help."""
    text = subprocess.run([program, "--help"], check=True, capture_output=True, text=True).stdout
    rows = []
    for line in text.partition("\n\n\n")[0].splitlines():
        match = re.match(r"  (-\S.*?)(?:  +(.*))?$", line)
        if match:
            rows.append([re.sub(r" (Excludes|Needs):.*", "", match[1]), match[2] or ""])
        elif rows and line.startswith("      "):
            rows[-1][1] = f"{rows[-1][1]} {line.strip()}".strip()
    return rows


def commands(program):
    """(name, arguments and options, text) of the subcommands in --help."""
    shown = subprocess.run([program, "--help"], check=True, capture_output=True, text=True).stdout
    rows = []
    for name in re.findall(r"^  ([a-z]+) ", shown.partition("Subcommands:")[2], re.M):
        own = subprocess.run([program, name, "--help"], check=True, capture_output=True, text=True)
        head, _, rest = own.stdout.partition("Usage: ")
        usage, _, rest = rest.partition("\n")
        rows.append((usage, " ".join(head.split()), [line.rstrip() for line in rest.splitlines()]))
    return rows


def reasons():
    """(token, status, message) of the table in common/reason.h."""
    row = r'ROW\((\w+), (\d+),\s*"([^"]*)"\)'
    return re.findall(row, read("common", "reason.h").replace("\\\n", "\n"))


def synopsis(usages):
    lines = [".SH SYNOPSIS", ".B streamgate", ".RI [ options ]"]
    for usage in usages:
        words = usage.split(" ", 2)
        lines += [".br", f".B {words[0]} {words[1]}", f".I {escape(words[2])}"]
    return "\n".join(lines)


def program_page(program, version):
    described = commands(program)
    out = [
        f'.TH STREAMGATE 8 "" "streamgate {version}" "Streamgate"',
        ".SH NAME\nstreamgate \\- streaming proxy for media players",
        synopsis(usage for usage, _, _ in described),
        ".SH DESCRIPTION",
        inline(
            "A player requests `/stream?url=`URL and receives the bytes of that URL from this "
            "server: streamed, seekable, with CORS. A playlist is rewritten, so that the player "
            "requests everything in it through the server too. A master process reads the "
            "configuration, binds the sockets and supervises the workers, which serve the clients."
        ),
        ".SH OPTIONS",
    ]
    out += [f".TP\n.B {escape(name)}\n{inline(text)}" for name, text in options(program)]
    out.append(".SH COMMANDS")
    for usage, text, details in described:
        out.append(f".SS {escape(usage)}\n{inline(text)}\n.PP\n.nf")
        out += [escape(line) for line in details]
        out.append(".fi")
    out.append(".SH ORDERS\n" + inline("The values of `--signal`."))
    out += [f".TP\n{inline(name)}\n{inline(text)}" for name, text in table_of_readme("order")]
    out.append(".SH SIGNALS")
    out += [f".TP\n{inline(name)}\n{inline(text)}" for name, text in table_of_readme("signal")]
    out.append(".SH QUERY PARAMETERS")
    out += [
        f".TP\n{inline(name)}\n{inline(text)}" for name, text in table_of_readme("query parameter")
    ]
    out.append(".SH REASONS\n" + inline("The field `X-Streamgate-Error` and the body name one."))
    out += [f".TP\n.B {token}\n{status}: {inline(text)}" for token, status, text in reasons()]
    out.append(
        ".SH EXIT STATUS\n0 success; 1 failure; 2 wrong command line; 3 the service is not running."
    )
    out.append(
        ".SH SEE ALSO\n.BR streamgate.yaml (5)\n.br\n"
        "OPERATIONS.md, the manual for operators; in the package "
        "/usr/share/doc/streamgate/OPERATIONS.md.gz"
    )
    return "\n".join(out) + "\n"


def main():
    program, check = os.path.abspath(sys.argv[1]), "--check" in sys.argv[2:]
    shown = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    version = shown.stdout.split()[-1]
    pages = {
        "streamgate.8": program_page(program, version),
        "streamgate.yaml.5": yaml_page(version),
    }
    wrong = []
    for name, text in pages.items():
        path = os.path.join(HERE, name)
        if check:
            with open(path, encoding="utf-8") as file:
                if file.read() != text:
                    wrong.append(name)
        else:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    if wrong:
        sys.exit(f"{', '.join(wrong)}: not as generated; run deploy/man/generate.py PROGRAM")


if __name__ == "__main__":
    main()
