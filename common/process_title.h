// The text that `ps` and `top` show for this process:
//
//   streamgate: worker 0 of generation 2: /usr/sbin/streamgate -c /etc/streamgate/streamgate.yaml
//
// The program file (/proc/PID/exe) stays the same. A forked process begins with its parent's title.
// May be called by any process.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace streamgate {

// Prepares the memory of `argv` and of the environment after it for titles, and moves the
// environment elsewhere. Call it once, at the start of main(). `argv` is valid until the first
// title.
void take_title_space(int argc, char** argv);

// Sets the title for `role`: `master`. It is cut where the space ends. Without take_title_space()
// nothing changes.
void set_process_title(std::string_view role);

// The role of a worker.
std::string worker_title(unsigned slot_index, uint64_t generation);

// The name for `pgrep`, `killall` and core files. It has at most 15 bytes; more are cut.
void set_process_name(std::string_view name);

}  // namespace streamgate
