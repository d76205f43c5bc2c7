/* Abseil's flat_hash_map. */
#include <absl/container/flat_hash_map.h>

#define PEER_TYPE absl::flat_hash_map<uint64_t, uint64_t>
#define PEER_NAME "absl"
#include "peer_cxx.h"

#include "rows.h"
