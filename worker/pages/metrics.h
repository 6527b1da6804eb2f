// The metrics of the service in the text format of Prometheus (version 0.0.4). Counters are those
// of common/counters.h and never fall. Labels are `reason`, `worker` (the slot's number) and
// `kind`, and never a host or a URL, so the number of series is bounded.
#pragma once

#include <string>
#include <string_view>

#include "common/config.h"
#include "common/service_survey.h"

namespace streamgate {

inline constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

std::string write_metrics(const ServiceSurvey& survey, const Config& config);

}  // namespace streamgate
