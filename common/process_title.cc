#include "common/process_title.h"

#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

namespace streamgate {
namespace {

// The kernel shows the bytes of argv. If the last one is not NUL, it also shows the bytes after
// them, up to the first NUL: the environment.
struct TitleSpace {
  char* start = nullptr;  // null: none
  size_t size = 0;
  size_t used = 0;  // bytes that are not NUL
  std::string command_line;
  std::vector<std::string> environment;
  std::vector<char*> pointers;  // to `environment`, then null
};

// Never destroyed: exit handlers may use the environment.
TitleSpace& the_space() {
  static auto* const space = new TitleSpace;
  return *space;
}

void move_environment(TitleSpace& space) {
  for (char** each = environ; *each != nullptr; ++each) space.environment.emplace_back(*each);
  for (std::string& each : space.environment) space.pointers.push_back(each.data());
  space.pointers.push_back(nullptr);
  environ = space.pointers.data();
}

}  // namespace

void take_title_space(int argc, char** argv) {
  if (argc < 1 || environ == nullptr) return;
  TitleSpace& space = the_space();
  char* end = argv[0];
  for (int i = 0; i < argc && argv[i] == end; ++i) {
    space.command_line += (i == 0 ? "" : " ") + std::string(argv[i]);
    end += ::strlen(argv[i]) + 1;
  }
  space.used = static_cast<size_t>(end - argv[0]);
  for (char** each = environ; *each == end; ++each) end += ::strlen(*each) + 1;
  space.size = static_cast<size_t>(end - argv[0]);
  space.start = argv[0];
  move_environment(space);
}

void set_process_title(std::string_view role) {
  TitleSpace& space = the_space();
  if (space.start == nullptr) return;
  const std::string title = "streamgate: " + std::string(role) + ": " + space.command_line;
  const size_t length = std::min(title.size(), space.size - 1);
  ::memset(space.start, 0, std::max(space.used, length + 1));
  title.copy(space.start, length);
  space.used = length;
}

std::string worker_title(unsigned slot_index, uint64_t generation) {
  return "worker " + std::to_string(slot_index) + " of generation " + std::to_string(generation);
}

void set_process_name(std::string_view name) {
  ::prctl(PR_SET_NAME, std::string(name).c_str(), 0, 0, 0);
}

}  // namespace streamgate
