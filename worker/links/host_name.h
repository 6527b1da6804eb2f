// Host names in any script (UTS 46).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace streamgate {

// `host` as the ASCII name that DNS and Host use: non-transitional UTS 46, as in browsers. Escapes
// are decoded first. nullopt if `host` is not valid UTF-8 or has no ASCII form.
std::optional<std::string> ascii_host(std::string_view host);

}  // namespace streamgate
