// The account of an IPTV panel that a URL belongs to (ConnectionsBy::account). A panel allows each
// account a few connections, and counts all forms of its URLs together.
#pragma once

#include <string>
#include <string_view>

namespace streamgate {

// The same text for all URLs of an account, of one origin. The user and the password, in the forms
// of Xtream Codes:
//
//   /live/USER/PASSWORD/1.ts            also movie, series, timeshift
//   /USER/PASSWORD/1  /USER/PASSWORD/1.ts     the last segment is a number
//   /get.php?username=USER&password=PASSWORD  any path
//
// For any other path: its first three segments.
std::string account_of(std::string_view path_and_query);

}  // namespace streamgate
