// Writes a report as text for a person, and as JSON for a program. Pure.
#pragma once

#include <string>

#include "worker/explain/report.h"

namespace streamgate {

// Lines that end with a newline, in ASCII unless a name from the upstream has other characters.
std::string report_as_text(const Report& report);

// One JSON object and a newline. The keys are stable; deploy/OPERATIONS.md describes them.
std::string report_as_json(const Report& report);

}  // namespace streamgate
