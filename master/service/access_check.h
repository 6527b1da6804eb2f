// The part of `--check` that depends on users: whether the files of a configuration can be used as
// the service will use them. Runs in the process of `--check`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/config.h"
#include "master/process/account.h"

namespace streamgate {

// Each problem names the key, the user and the file. The master reads keys and creates logs with
// the user of this process; workers, as `account`, read CA files and open logs again. Missing files
// and directories are no problem here.
std::vector<std::string> access_problems(const Config& config,
                                         const std::optional<Account>& account);

}  // namespace streamgate
