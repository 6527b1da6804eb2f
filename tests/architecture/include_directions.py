#!/usr/bin/env python3
"""Checks the includes of each file by its folder, include cycles between headers, the modules that
may include a library, and the length of files.

    include_directions.py [ROOT]     one line per violation; exit status 1 if there is any
    include_directions.py --self-test
"""

import re
import sys
import tempfile
from pathlib import Path

MAX_LINES = 500

# Each folder, and the other folders that its files may include. A folder that is not listed is an
# error. `master` and `worker` mean the files directly in these folders.
FOLDERS = {
    "common": "",
    "master": "common master/config master/process master/service master/upgrade",
    "master/upgrade": "common master/config master/process master/service",
    "master/service": "common master/config master/process",
    "master/config": "common",
    "master/process": "common",
    "worker": "common worker/admin worker/cache worker/exchange worker/pages worker/documents"
    " worker/links worker/fetch worker/client worker/confine worker/upstream worker/http"
    " worker/loop",
    "worker/admin": "common worker/explain worker/pages worker/cache worker/fetch worker/client"
    " worker/http worker/loop",
    "worker/explain": "common worker/exchange worker/documents worker/documents/dash"
    " worker/documents/hls worker/links worker/fetch worker/upstream worker/http worker/loop",
    "worker/cache": "common worker/fetch worker/upstream worker/http worker/loop",
    "worker/exchange": "common worker/pages worker/documents worker/links worker/cache worker/fetch"
    " worker/client worker/upstream worker/http worker/loop",
    "worker/pages": "common worker/http worker/loop",
    "worker/documents": "common worker/documents/dash worker/documents/hls worker/documents/json"
    " worker/links worker/http worker/loop",
    "worker/documents/dash": "common worker/documents worker/links worker/http worker/loop",
    "worker/documents/hls": "common worker/documents worker/documents/json worker/links worker/http"
    " worker/loop",
    "worker/documents/json": "common worker/documents worker/links worker/http worker/loop",
    "worker/links": "common worker/http worker/loop",
    "worker/fetch": "common worker/upstream worker/http worker/loop",
    "worker/client": "common worker/http worker/loop",
    "worker/upstream": "common worker/http worker/loop",
    "worker/http": "common worker/loop",
    "worker/loop": "common",
    "worker/confine": "common",
}

# A file that may include one header outside its folder's list.
CROSSINGS = {
    # main() joins master and worker.
    ("master/main.cc", "worker/worker.h"),
    ("master/main.cc", "worker/health_probe.h"),
    ("master/main.cc", "worker/purge_command.h"),
    ("master/main.cc", "worker/explain/explain_command.h"),
    # `streamgate sign` makes a link.
    ("master/main.cc", "worker/links/token_signer.h"),
    # A trial runs the supervisor's Program; the header includes only common/.
    ("master/upgrade/trial_run.h", "master/program.h"),
}

# Headers directly in worker/, and the only modules that may include them: worker is above server.
TOP_OF_WORKER = {"worker/server": {"worker/worker"}, "worker/worker": {"master/main"}}

# Library headers and the only modules (path without suffix, `*` for any ending) that may include
# them.
WALLS = {
    r"yaml-cpp/": {"master/config/loader"},
    r"CLI/": {"master/command_line"},
    r"(evhtp\.h|evhtp/)": {"worker/admin/admin_server", "worker/server", "worker/client/gate"},
    r"ares\.h": {"worker/upstream/dns_channel"},
    r"seccomp\.h": {"worker/confine/call_filter"},
    r"libpsl\.h": {"worker/fetch/public_suffix"},
    r"zlib\.h": {"worker/http/deflater", "worker/http/inflater"},
    r"openssl/": {
        "worker/client/socket",
        "worker/client/tls_server",
        "worker/health_probe",
        "worker/loop/openssl",
        "worker/loop/signature",
        "worker/upstream/authorities",
        "worker/upstream/socket",
        "worker/upstream/tls",
        "worker/upstream/tls_facts",
    },
    r"event2/": {
        "worker/admin/admin_server",
        "worker/client/*",
        "worker/loop/*",
        "worker/server",
        "worker/upstream/*",
        "worker/worker",
    },
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
LAYERS = ("common", "master", "worker")


def matches(name, pattern):
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def folder_of(name):
    return name.rpartition("/")[0]


def module_of(name):
    return name.rpartition(".")[0]


def sources(root):
    return sorted(
        p for layer in LAYERS for p in (root / layer).rglob("*") if p.suffix in (".h", ".cc")
    )


def check_ours(name, included):
    """The complaint about an include of our own header, or None."""
    if (name, included) in CROSSINGS:
        return None
    mine, theirs = folder_of(name), folder_of(included)
    if mine not in FOLDERS:
        return f"{mine}/ is not listed in {Path(__file__).name}"
    if theirs != mine and theirs not in FOLDERS[mine].split():
        return f"{mine}/ does not include {theirs}/"
    users = TOP_OF_WORKER.get(module_of(included))
    if users is not None and module_of(name) not in users | {module_of(included)}:
        return f"only {', '.join(sorted(users))} may include it"
    return None


def check_library(name, included):
    """The complaint about an include of a library's header, or None."""
    module = module_of(name)
    for header, modules in WALLS.items():
        if re.match(header, included) and not any(matches(module, pattern) for pattern in modules):
            return f"only {', '.join(sorted(modules))} may include it"
    return None


def cycles(includes):
    """Include cycles in {header: [included, ...]}, each cycle once."""
    found, done = [], set()

    def visit(name, path):
        if name in path:
            cycle = path[path.index(name) :]
            found.append(f"{name}: is in an include cycle with {', '.join(cycle[1:] or [name])}")
            return
        if name in done:
            return
        for included in includes.get(name, []):
            visit(included, path + [name])
        done.add(name)

    for name in sorted(includes):
        visit(name, [])
    return found


def violations(root):
    found, headers = [], {}
    for path in sources(root):
        name = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        if lines > MAX_LINES:
            found.append(f"{name}: {lines} lines; the limit is {MAX_LINES}")
        if folder_of(name) not in FOLDERS:
            found.append(f"{name}: its folder is not listed in {Path(__file__).name}")
        for kind, included in INCLUDE.findall(text):
            # Our own headers count as ours in angle brackets too.
            ours = kind == '"' or included.split("/")[0] in LAYERS
            complaint = (check_ours if ours else check_library)(name, included)
            # Library headers count in quotes too.
            complaint = complaint or check_library(name, included)
            if complaint:
                found.append(f"{name}: includes {included}: {complaint}")
            if ours and name.endswith(".h"):
                headers.setdefault(name, []).append(included)
    return found + cycles(headers)


PLANTED = {
    "common/url.h": '#include "worker/links/url.h"\n',
    "common/log.cc": "#include <event2/event.h>\n",
    "master/supervisor.cc": '#include "worker/worker.h"\n',
    "master/service/listener.cc": "#include <yaml-cpp/yaml.h>\n",
    "master/config/table.cc": '#include "master/process/account.h"\n',
    "master/process/account.cc": '#include "master/config/loader.h"\n',
    "master/service/files.cc": '#include "master/upgrade/handover.h"\n',
    "master/upgrade/handover.cc": '#include "master/supervisor.h"\n',
    "worker/worker.cc": '#include "master/supervisor.h"\n',
    "worker/exchange/exchange.cc": '#include "worker/server.h"\n',
    "worker/server.cc": '#include "worker/worker.h"\n',
    "worker/fetch/upstream_request.cc": '#include "worker/client/stream.h"\n',
    "worker/fetch/fetch.cc": '#include "worker/exchange/exchange.h"\n',
    "worker/fetch/resumption.cc": '#include "worker/links/stream_request.h"\n',
    "worker/client/socket.cc": '#include "worker/upstream/tls.h"\n',
    "worker/client/gate.cc": "#include <worker/upstream/pool.h>\n",
    "worker/upstream/connection.cc": '#include "worker/client/gate.h"\n',
    "worker/upstream/dialer.cc": "#include <openssl/err.h>\n",
    "worker/upstream/pool.cc": '#include "worker/fetch/fetch.h"\n',
    "worker/links/child_url.cc": '#include "worker/documents/hls/playlist_rewriter.h"\n',
    "worker/documents/document_body.cc": '#include "worker/client/stream.h"\n',
    "worker/documents/hls/playlist_rewriter.cc": '#  include "worker/exchange/exchange.h"\n',
    "worker/pages/health.cc": '#include "worker/exchange/exchange.h"\n',
    "worker/http/inflater.cc": "#include <event2/buffer.h>\n",
    "worker/http/message.cc": '#include "worker/upstream/pool.h"\n',
    "worker/loop/reaper.cc": '#include "worker/http/message.h"\n',
    "worker/loop/pipe.cc": "#include <zlib.h>\n",
    "worker/exchange/access_log.cc": "#include <openssl/ssl.h>\n",
    "worker/exchange/environment.cc": "#include <evhtp.h>\n",
    "worker/upstream/resolver.cc": '#include "CLI/CLI.hpp"\n',
    "worker/upstream/dns_servers.cc": "#include <ares.h>\n",
    "worker/links/first.h": '#include "worker/links/second.h"\n',
    "worker/surprise/thing.cc": "",
    "worker/loop/reaper.h": "\n" * (MAX_LINES + 1),
}

ALLOWED = {
    "master/main.cc": '#include "worker/worker.h"\n#include "common/config.h"\n',
    "master/config/loader.cc": "#include <yaml-cpp/yaml.h>\n",
    "master/upgrade/trial_run.h": '#include "master/program.h"\n',
    "worker/exchange/exchange.h": '#include "worker/client/gate.h"\n'
    '#include "worker/fetch/fetch.h"\n',
    "worker/links/second.h": '#include "worker/links/first.h"\n',
    "worker/loop/event.h": "#include <event2/event.h>\n",
    "worker/loop/openssl.h": '#include <openssl/ssl.h>\n#include "worker/loop/event.h"\n',
}


def self_test():
    """Plants one violation of each kind in a temporary tree; returns those not found."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in {**PLANTED, **ALLOWED}.items():
            (root / name).parent.mkdir(exist_ok=True, parents=True)
            (root / name).write_text(text, encoding="utf-8")
        found = violations(root)
    missed = [name for name in PLANTED if not any(line.startswith(name + ":") for line in found)]
    wrong = [line for line in found if line.split(":")[0] in ALLOWED]
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
    print("\n".join(found) if found else "no violations")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
