#!/usr/bin/env python3
"""Checks which file may include which: the arrows between folders, the levels inside worker/, the
walls around libraries, and the length of files.

    include_directions.py [ROOT]     one line per violation; exit status 1 if there is any
    include_directions.py --self-test
"""

import re
import sys
import tempfile
from pathlib import Path

MAX_LINES = 500

# From folder to the folders it may include; master/main.cc, where everything is put together, is
# the one exception and may include worker/worker.h.
ARROWS = {"common": {"common"}, "master": {"master", "common"}, "worker": {"worker", "common"}}
CROSSING = ("master/main.cc", "worker/worker.h")

# Every module of worker/ has its level here; a file includes its own level or below. 1: rules,
# pure, an evbuffer at most. 2: sides, which own sockets and timers. 3: the story, which knows
# everybody. event.h is below all of them: aliases for C types, nothing that acts.
LEVELS = {
    0: {"event"},
    1: {
        *(
            "accept_balance",
            "attribute_list",
            "block_buffer",
            "body_sniffer",
            "child_template",
            "child_url",
        ),
        *("chunk_decoder", "forwarding", "head_writer", "http_grammar", "http_message", "inflater"),
        *("line_scan", "own_response", "piecewise_text", "playlist_*", "request_head_parser"),
        *("response_parser", "resumption", "stream_request", "target_guard", "text_buffer"),
    },
    2: {
        *("access_log", "client_*", "dialer", "hosts_file", "pipe", "rate_watch", "reaper"),
        *("resolver", "timer_wheel", "tls", "tls_server", "upstream_*"),
    },
    3: {"body_relay", "exchange", "exchange_*", "server", "worker"},
}

# The two sides meet in the exchange only.
STRANGERS = (("client_", "upstream_"), ("upstream_", "client_"))

# Library headers and the only modules (folder/stem, `*` for any ending) that may include them.
WALLS = {
    r"yaml-cpp/": {"master/config_loader*"},
    r"CLI/": {"master/command_line*"},
    r"(evhtp\.h|evhtp/)": {"worker/server", "worker/client_gate"},
    r"openssl/": {
        "worker/client_socket",
        "worker/dialer",
        "worker/event",
        "worker/tls",
        "worker/tls_server",
        "worker/upstream_connection",
        "worker/upstream_pool",
    },
    r"event2/": {"worker/*"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def matches(name, pattern):
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def level_of(stem):
    """The level of a module of worker/; an exact name wins over a pattern."""
    for level, names in LEVELS.items():
        if stem in names:
            return level
    for level, names in LEVELS.items():
        if any(matches(stem, name) for name in names):
            return level
    return None


def sources(root):
    return sorted(
        p for folder in ARROWS for p in (root / folder).rglob("*") if p.suffix in (".h", ".cc")
    )


def check_ours(name, included):
    """The complaint about a quoted include, or None."""
    folder, target = name.split("/")[0], included.split("/")[0]
    if (name, included) == CROSSING:
        return None
    if target not in ARROWS[folder]:
        return f"{folder}/ does not include {target}/"
    stem, other = Path(name).stem, Path(included).stem
    if folder == "worker" and target == "worker":
        mine, theirs = level_of(stem), level_of(other)
        if mine is not None and theirs is not None and theirs > mine:
            return f"level {mine} does not include level {theirs}"
        for one, another in STRANGERS:
            if stem.startswith(one) and other.startswith(another):
                return "the two sides meet in the exchange only"
    return None


def check_library(name, included):
    """The complaint about an include of a library's header, or None."""
    module = name.rsplit(".", 1)[0]
    if name.startswith("worker/") and level_of(Path(name).stem) == 1:
        if included.startswith("event2/") and included != "event2/buffer.h":
            return "level 1 knows an evbuffer at most"
    for header, modules in WALLS.items():
        if re.match(header, included) and not any(matches(module, pattern) for pattern in modules):
            return f"only {', '.join(sorted(modules))} may see it"
    return None


def violations(root):
    found = []
    for path in sources(root):
        name = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        if lines > MAX_LINES:
            found.append(f"{name}: {lines} lines; more than {MAX_LINES} is two files")
        if name.startswith("worker/") and level_of(path.stem) is None:
            found.append(f"{name}: has no level; give it one in {Path(__file__).name}")
        for kind, included in INCLUDE.findall(text):
            # Angle brackets do not make a header of ours a library's.
            ours = kind == '"' or included.split("/")[0] in ARROWS
            complaint = (check_ours if ours else check_library)(name, included)
            # A wall does not fall to quotes either.
            complaint = complaint or check_library(name, included)
            if complaint:
                found.append(f"{name}: includes {included}: {complaint}")
    return found


def self_test():
    """Plants one violation of each kind in a tree of its own and fails if one is not seen."""
    planted = {
        "common/url.h": '#include "worker/url.h"\n',
        "common/log.cc": "#include <event2/event.h>\n",
        "master/supervisor.cc": '#include "worker/worker.h"\n',
        "master/listener.cc": "#include <yaml-cpp/yaml.h>\n",
        "worker/worker.cc": '#include "master/supervisor.h"\n',
        "worker/forwarding.cc": '#include "worker/resolver.h"\n',
        "worker/inflater.cc": "#include <event2/bufferevent.h>\n",
        "worker/playlist_rewriter.cc": '#  include "worker/exchange.h"\n',
        "worker/tls.cc": "#include <worker/worker.h>\n",
        "worker/client_stream.cc": '#include "worker/upstream_pool.h"\n',
        "worker/upstream_connection.cc": '#include "worker/client_gate.h"\n',
        "worker/exchange.cc": "#include <evhtp.h>\n",
        "worker/access_log.cc": "#include <openssl/ssl.h>\n",
        "worker/server.cc": '#include "CLI/CLI.hpp"\n',
        "worker/surprise.cc": "",
        "worker/reaper.h": "\n" * (MAX_LINES + 1),
    }
    allowed = {
        "master/main.cc": '#include "worker/worker.h"\n#include "common/config.h"\n',
        "master/config_loader.cc": "#include <yaml-cpp/yaml.h>\n",
        "worker/exchange.h": '#include "worker/client_gate.h"\n#include "worker/tls.h"\n',
        "worker/exchange_body.cc": '#include "worker/upstream_pool.h"\n',
        "worker/event.h": "#include <event2/event.h>\n#include <openssl/ssl.h>\n",
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in {**planted, **allowed}.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        found = violations(root)
    missed = [name for name in planted if not any(line.startswith(name + ":") for line in found)]
    wrong = [line for line in found if line.split(":")[0] in allowed]
    return [f"planted and not seen: {name}" for name in missed] + [
        f"allowed and refused: {line}" for line in wrong
    ]


def main():
    arguments = sys.argv[1:]
    if arguments == ["--self-test"]:
        found = self_test()
    else:
        root = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[2]
        if not sources(root):
            sys.exit(f"{root} holds no sources")
        found = violations(root)
    print("\n".join(found) if found else "every include keeps its direction")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
