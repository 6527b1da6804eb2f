// The page of the admin listener: the state of the service for people. One document without other
// files, whose script fetches it again every 2 s. Its content security policy allows nothing but
// its own style and script, by a nonce. Every text that comes from outside is escaped.
#pragma once

#include <string>
#include <string_view>

#include "common/service_survey.h"

namespace streamgate {

// `nonce`: random, new for each answer; letters, digits, - and _ only.
std::string write_status_page(const ServiceSurvey& survey, std::string_view nonce);

// The Content-Security-Policy of the page.
std::string status_page_policy(std::string_view nonce);

}  // namespace streamgate
