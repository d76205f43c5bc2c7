/* Boost's unordered_flat_map (1.81 or later). */
#include <boost/unordered/unordered_flat_map.hpp>

#define PEER_TYPE boost::unordered_flat_map<uint64_t, uint64_t>
#define PEER_NAME "boost"
#include "peer_cxx.h"

#include "rows.h"
