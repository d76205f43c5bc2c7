#include "base/nomem.h"

#include <stdlib.h>

void (*nomem_exit)(void) = abort;
