// The names of all events of the log, in alphabetical order. `log.levels` knows no others;
// tests/architecture/documented_events.py compares them with the code.
#pragma once

#include <string_view>

namespace streamgate {

// clang-format off
inline constexpr std::string_view kLogEvents[] = {
    "accept.failed",
    "cache.no_seat",
    "config.problem",
    "config.warning",
    "dns.server_answers",
    "dns.server_silent",
    "drain.patience_ended",
    "exchange.live",
    "exchange.step",
    "fetch.step",
    "libevent",
    "listener.bound",
    "listener.inherited",
    "log.dropped",
    "log.reopen_failed",
    "log.reopened",
    "master.gone",
    "master.leaving",
    "master.pid_file_failed",
    "master.ready",
    "master.start_failed",
    "master.started",
    "master.status_not_written",
    "master.stopped",
    "master.stopping",
    "master.was_suspended",
    "proxy_protocol.refused",
    "reload.done",
    "reload.failed",
    "reload.held",
    "reload.started",
    "security.open_proxy",
    "state.master",
    "state.worker",
    "tls.handshake_failed",
    "upgrade.done",
    "upgrade.executing",
    "upgrade.no_program",
    "upgrade.refused",
    "upgrade.started",
    "worker.call_refused",
    "worker.cannot_start",
    "worker.died",
    "worker.draining",
    "worker.left",
    "worker.not_confined",
    "worker.not_started",
    "worker.ready",
    "worker.started",
    "worker.stuck",
};
// clang-format on

}  // namespace streamgate
