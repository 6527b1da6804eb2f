// The conclusion of a report: the verdict, a summary in one sentence, and the advice. Pure.
#pragma once

#include <string>

#include "common/result.h"
#include "worker/explain/report.h"

namespace streamgate {

// The fetch has failed. Sets the verdict, the reason, and the texts.
void conclude_failure(const Error& error, Report& report);

// The upstream has answered. Requires that status, kind and playlist of the report are set.
// `kind_advice` is for a body that cannot be played, else empty.
void conclude_answer(bool can_play, const std::string& kind_advice, Report& report);

}  // namespace streamgate
