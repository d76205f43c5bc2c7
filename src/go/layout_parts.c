#include "go/layout.h"

#include <stddef.h>

/*
 * Names are those of runtime/runtime2.go, runtime/map.go (map_noswiss.go in 1.24 and 1.25),
 * internal/runtime/maps and internal/abi, Go 1.18 to 1.27.
 */

#define FIELD(part, member, ...)                                           \
	{                                                                  \
#member, offsetof(struct layout, part.member), __VA_ARGS__ \
	}
#define FIELDS(array) (array), sizeof(array) / sizeof((array)[0])

/* clang-format off */
static const struct layout_field g_fields[] = {
	FIELD(g, size, {NULL}),
	FIELD(g, stack, {"stack"}),
	FIELD(g, m, {"m"}),
	FIELD(g, sched, {"sched"}),
	FIELD(g, syscallsp, {"syscallsp"}),
	FIELD(g, syscallpc, {"syscallpc"}),
	FIELD(g, syscallbp, {"syscallbp"}),
	FIELD(g, stktopsp, {"stktopsp"}),
	FIELD(g, atomicstatus, {"atomicstatus"}),
	FIELD(g, goid, {"goid"}),
	FIELD(g, waitsince, {"waitsince"}),
	FIELD(g, waitreason, {"waitreason"}),
	FIELD(g, preempt, {"preempt"}),
	FIELD(g, lockedm, {"lockedm"}),
	FIELD(g, sig, {"sig"}),
	FIELD(g, sigpc, {"sigpc"}),
	FIELD(g, parent_goid, {"parentGoid"}),
	FIELD(g, gopc, {"gopc"}),
	FIELD(g, startpc, {"startpc"}),
	FIELD(g, waiting, {"waiting"}),
	FIELD(g, panic, {"_panic"}),
	FIELD(g, defer, {"_defer"}),
	FIELD(g, labels, {"labels"}),
};

static const struct layout_field gobuf_fields[] = {
	FIELD(gobuf, sp, {"sp"}),
	FIELD(gobuf, pc, {"pc"}),
	FIELD(gobuf, g, {"g"}),
	FIELD(gobuf, lr, {"lr"}),
	FIELD(gobuf, bp, {"bp"}),
};

static const struct layout_field m_fields[] = {
	FIELD(m, size, {NULL}),
	FIELD(m, g0, {"g0"}),
	FIELD(m, procid, {"procid"}),
	FIELD(m, gsignal, {"gsignal"}),
	FIELD(m, curg, {"curg"}),
	FIELD(m, p, {"p"}),
	FIELD(m, id, {"id"}),
	FIELD(m, throwing, {"throwing"}),
	FIELD(m, locks, {"locks"}),
	FIELD(m, dying, {"dying"}),
	FIELD(m, incgo, {"incgo"}),
	FIELD(m, alllink, {"alllink"}),
	FIELD(m, lockedg, {"lockedg"}),
	FIELD(m, vdso_sp, {"vdsoSP"}),
	FIELD(m, vdso_pc, {"vdsoPC"}),
	FIELD(m, libcallsp, {"libcallsp"}),
};

static const struct layout_field sudog_fields[] = {
	FIELD(sudog, g, {"g"}),
	FIELD(sudog, next, {"next"}),
	FIELD(sudog, elem, {"elem"}),
	FIELD(sudog, c, {"c"}),
};

static const struct layout_field hmap_fields[] = {
	FIELD(hmap, size, {NULL}),
	FIELD(hmap, count, {"count"}),
	FIELD(hmap, flags, {"flags"}),
	FIELD(hmap, b, {"B"}),
	FIELD(hmap, noverflow, {"noverflow"}),
	FIELD(hmap, hash0, {"hash0"}),
	FIELD(hmap, buckets, {"buckets"}),
	FIELD(hmap, oldbuckets, {"oldbuckets"}),
	FIELD(hmap, nevacuate, {"nevacuate"}),
	FIELD(hmap, clear_seq, {"clearSeq"}),
	FIELD(hmap, extra, {"extra"}),
};

static const struct layout_field mapextra_fields[] = {
	FIELD(mapextra, size, {NULL}),
	FIELD(mapextra, overflow, {"overflow"}),
	FIELD(mapextra, oldoverflow, {"oldoverflow"}),
	FIELD(mapextra, next_overflow, {"nextOverflow"}),
};

static const struct layout_field hiter_fields[] = {
	FIELD(hiter, size, {NULL}),
	FIELD(hiter, key, {"key"}),
	FIELD(hiter, elem, {"elem"}),
	FIELD(hiter, t, {"t"}),
	FIELD(hiter, h, {"h"}),
	FIELD(hiter, buckets, {"buckets"}),
	FIELD(hiter, bptr, {"bptr"}),
	FIELD(hiter, start_bucket, {"startBucket"}),
	FIELD(hiter, offset, {"offset"}),
	FIELD(hiter, wrapped, {"wrapped"}),
	FIELD(hiter, b, {"B"}),
	FIELD(hiter, i, {"i"}),
	FIELD(hiter, bucket, {"bucket"}),
	FIELD(hiter, check_bucket, {"checkBucket"}),
};

static const struct layout_field map_fields[] = {
	FIELD(map, size, {NULL}),
	FIELD(map, used, {"used"}),
	FIELD(map, seed, {"seed"}),
	FIELD(map, dir_ptr, {"dirPtr"}),
	FIELD(map, dir_len, {"dirLen"}),
	FIELD(map, global_depth, {"globalDepth"}),
	FIELD(map, global_shift, {"globalShift"}),
	FIELD(map, writing, {"writing"}),
	FIELD(map, tombstone_possible, {"tombstonePossible"}),
	FIELD(map, clear_seq, {"clearSeq"}),
};

static const struct layout_field table_fields[] = {
	FIELD(table, size, {NULL}),
	FIELD(table, used, {"used"}),
	FIELD(table, capacity, {"capacity"}),
	FIELD(table, growth_left, {"growthLeft"}),
	FIELD(table, local_depth, {"localDepth"}),
	FIELD(table, index, {"index"}),
	FIELD(table, groups_data, {"groups.data"}),
	FIELD(table, groups_mask, {"groups.lengthMask"}),
};

static const struct layout_field iter_fields[] = {
	FIELD(iter, size, {NULL}),
	FIELD(iter, key, {"key"}),
	FIELD(iter, elem, {"elem"}),
	FIELD(iter, typ, {"typ"}),
	FIELD(iter, m, {"m"}),
	FIELD(iter, entry_offset, {"entryOffset"}),
	FIELD(iter, dir_offset, {"dirOffset"}),
	FIELD(iter, global_depth, {"globalDepth"}),
	FIELD(iter, dir_idx, {"dirIdx"}),
	FIELD(iter, tab, {"tab"}),
	FIELD(iter, group, {"group"}),
	FIELD(iter, entry_idx, {"entryIdx"}),
};

static const struct layout_field old_maptype_fields[] = {
	FIELD(old_maptype, size, {NULL}),
	FIELD(old_maptype, key, {"Key", "key"}),
	FIELD(old_maptype, elem, {"Elem", "elem"}),
	FIELD(old_maptype, bucket, {"Bucket", "bucket"}),
	FIELD(old_maptype, hasher, {"Hasher", "hasher"}),
	FIELD(old_maptype, key_size, {"KeySize", "keysize"}),
	FIELD(old_maptype, value_size, {"ValueSize", "elemsize"}),
	FIELD(old_maptype, bucket_size, {"BucketSize", "bucketsize"}),
	FIELD(old_maptype, flags, {"Flags", "flags"}),
};

static const struct layout_field swiss_maptype_fields[] = {
	FIELD(swiss_maptype, size, {NULL}),
	FIELD(swiss_maptype, key, {"Key"}),
	FIELD(swiss_maptype, elem, {"Elem"}),
	FIELD(swiss_maptype, group, {"Group"}),
	FIELD(swiss_maptype, hasher, {"Hasher"}),
	FIELD(swiss_maptype, group_size, {"GroupSize"}),
	FIELD(swiss_maptype, slot_size, {"SlotSize"}),
	FIELD(swiss_maptype, keys_off, {"KeysOff"}),
	FIELD(swiss_maptype, key_stride, {"KeyStride"}),
	FIELD(swiss_maptype, elems_off, {"ElemsOff"}),
	FIELD(swiss_maptype, elem_stride, {"ElemStride"}),
	FIELD(swiss_maptype, elem_off, {"ElemOff"}),
	FIELD(swiss_maptype, flags, {"Flags"}),
};

static const struct layout_part parts[] = {
	{"g", {"runtime.g"}, NULL, FIELDS(g_fields)},
	{"gobuf", {"runtime.gobuf"}, NULL, FIELDS(gobuf_fields)},
	{"m", {"runtime.m"}, NULL, FIELDS(m_fields)},
	{"sudog", {"runtime.sudog"}, NULL, FIELDS(sudog_fields)},
	{"hmap", {"runtime.hmap"}, NULL, FIELDS(hmap_fields)},
	{"mapextra", {"runtime.mapextra"}, NULL, FIELDS(mapextra_fields)},
	{"hiter", {"runtime.hiter"}, NULL, FIELDS(hiter_fields)},
	{"map", {"internal/runtime/maps.Map"}, NULL, FIELDS(map_fields)},
	{"table", {"internal/runtime/maps.table"}, NULL, FIELDS(table_fields)},
	{"iter", {"internal/runtime/maps.Iter"}, NULL, FIELDS(iter_fields)},
	/* abi.MapType was the bucket map's up to 1.23 and is the Swiss map's from 1.26 on */
	{"old_maptype", {"internal/abi.OldMapType", "internal/abi.MapType", "runtime.maptype"},
	 "bucket", FIELDS(old_maptype_fields)},
	{"swiss_maptype", {"internal/abi.MapType", "internal/abi.SwissMapType"},
	 "group", FIELDS(swiss_maptype_fields)},
};
/* clang-format on */

size_t layout_parts(const struct layout_part **ret)
{
	*ret = parts;
	return sizeof(parts) / sizeof(parts[0]);
}

void layout_clear(struct layout *layout)
{
	layout->source = NULL;
	for (size_t p = 0; p < sizeof(parts) / sizeof(parts[0]); p++)
		for (size_t f = 0; f < parts[p].count; f++)
			*layout_member(layout, &parts[p].fields[f]) = LAYOUT_NONE;
}
