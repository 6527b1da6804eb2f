#include <cstdio>

#include "common/version.h"

int main() {
  std::printf("streamgate %s\n", streamgate::version());
  return 0;
}
