// When a dead worker's slot may be filled again. Pure: no clock, no process.
#pragma once
