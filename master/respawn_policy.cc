#include "master/respawn_policy.h"
