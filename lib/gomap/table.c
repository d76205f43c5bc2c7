/*
 * The bucket arrays of a map: made, grown, given back.
 *
 * An array outlives its use where an iteration is still open on it (struct gomap_table.iterators):
 * it is then retired, and the next growth or clear after the iteration's end frees it. An
 * iteration that is never ended costs that memory until the map is freed, and nothing worse.
 */
#include "internal.h"

enum { B_MAX = 48 }; /* more buckets than an address space holds */

uint8_t table_B_for(size_t hint)
{
	uint8_t B = 0;
	while (B < B_MAX && over_load(hint, B))
		++B;
	return B;
}

/* The last step of a change of arrays: see gomap_impl_home. */
void table_set_B(struct gomap *m, uint8_t B)
{
	__atomic_store_n(&m->B, B, __ATOMIC_RELEASE);
	__atomic_store_n(&m->mask, ((uintptr_t)1 << B) - 1, __ATOMIC_RELEASE);
}

/* Overflow buckets that come with an array of 2^B, as many as Go allocates with it. */
static size_t spare_for(uint8_t B)
{
	return B >= 4 ? (size_t)1 << (B - 4) : 0;
}

/* So many inserts before the load calls for growth its array is made: one for each huge page. */
static size_t growth_lead(const struct gomap *m)
{
	uint8_t B = (uint8_t)(m->B + 1);
	size_t bytes, n = ((size_t)1 << B) + spare_for(B);
	if (__builtin_mul_overflow(n, gomap_impl_bucket_size(&m->shape), &bytes))
		return 0;
	return huge_pages_of(m, bytes);
}

/* Works out when an insert has to take the slow way, which then starts growth. While the map grows
 * none has to. */
static void set_room(struct gomap *m)
{
	if (m->oldbuckets)
		m->room = UINTPTR_MAX;
	else if (many_overflows(m))
		m->room = 0;
	else
		m->room = m->B ? 13 * (((uintptr_t)1 << m->B) / 2) - growth_lead(m) : GOMAP_SLOTS;
}

static bool slice_push(struct gomap *m, struct gomap_slice *slice, void *p)
{
	if (slice->len == slice->cap) {
		size_t cap = slice->cap ? slice->cap * 2 : 8;
		void **grown = map_alloc(m, cap * sizeof(*grown));
		if (!grown)
			return false;
		if (slice->len)
			memcpy(grown, slice->ptr, slice->len * sizeof(*grown));
		map_free(m, slice->ptr, slice->cap * sizeof(*grown));
		slice->ptr = grown;
		slice->cap = cap;
	}
	slice->ptr[slice->len++] = p;
	return true;
}

static void slice_done(struct gomap *m, struct gomap_slice *slice)
{
	map_free(m, slice->ptr, slice->cap * sizeof(*slice->ptr));
	*slice = (struct gomap_slice){NULL, 0, 0};
}

static struct gomap_table *table_new(struct gomap *m, uint8_t B)
{
	size_t bytes, n = ((size_t)1 << B) + spare_for(B);
	if (B > B_MAX || __builtin_mul_overflow(n, gomap_impl_bucket_size(&m->shape), &bytes))
		goto nomem;
	struct gomap_table *table = map_alloc(m, sizeof(*table));
	if (!table)
		goto nomem;
	*table = (struct gomap_table){.bytes = bytes, .B = B, .spare = spare_for(B)};
	table->buckets = map_alloc(m, bytes);
	if (table->buckets) {
		size_t huge = huge_pages_of(m, bytes);
		if (huge && huge_page_given(table->buckets)) {
			table->huge_pages = huge;
			table->fetched = 1;
		}
		return table;
	}
	map_free(m, table, sizeof(*table));
nomem:
	errno = ENOMEM;
	return NULL;
}

static size_t slab_bytes(const struct gomap *m, const struct gomap_table *table)
{
	return slab_buckets(m, table) * gomap_impl_bucket_size(&m->shape);
}

static void free_slabs(struct gomap *m, struct gomap_table *table)
{
	for (size_t i = 0; i < table->slabs.len; ++i)
		map_free(m, table->slabs.ptr[i], slab_bytes(m, table));
	table->slabs.len = table->slabs_used = 0;
}

static void table_free(struct gomap *m, struct gomap_table *table)
{
	if (!table)
		return;
	free_slabs(m, table);
	slice_done(m, &table->slabs);
	map_free(m, table->buckets, table->bytes);
	map_free(m, table, sizeof(*table));
}

/* Makes table the current one. */
static void table_use(struct gomap *m, struct gomap_table *table)
{
	struct gomap_extra *x = m->extra;
	x->table = table;
	x->overflow = &table->slabs;
	x->nextOverflow =
		table->buckets + ((size_t)1 << table->B) * gomap_impl_bucket_size(&m->shape);
	__atomic_store_n(&m->buckets, table->buckets, __ATOMIC_RELAXED);
}

bool table_first(struct gomap *m)
{
	if (!m->extra) {
		struct gomap_extra *x = map_alloc(m, sizeof(*x));
		if (!x) {
			errno = ENOMEM;
			return false;
		}
		memset(x, 0, sizeof(*x));
		m->extra = x;
	}
	struct gomap_table *table = table_new(m, m->B);
	if (!table)
		return false;
	table_use(m, table);
	set_room(m);
	return true;
}

static bool in_use(const struct gomap_table *table)
{
	return table && __atomic_load_n(&table->iterators, __ATOMIC_ACQUIRE) != 0;
}

static void free_grave(struct gomap *m)
{
	struct gomap_slice *grave = &m->extra->grave;
	for (size_t i = 0; i < grave->len; ++i)
		map_free(m, grave->ptr[i], m->shape.key_size);
	grave->len = 0;
}

/* Frees what only iterations kept, as far as these have ended. */
static void sweep(struct gomap *m)
{
	struct gomap_extra *x = m->extra;
	struct gomap_table **link = &x->retired;
	while (*link) {
		struct gomap_table *table = *link;
		if (in_use(table)) {
			link = &table->next;
		} else {
			*link = table->next;
			table_free(m, table);
		}
	}
	if (!x->retired && !in_use(x->table) && !in_use(x->oldtable))
		free_grave(m);
}

/* Gives back a step of an array, up to end, unless an iteration is open on it. */
void table_release(struct gomap *m, struct gomap_table *table, size_t end)
{
	size_t step = end - table->released;
	if (!m->allocator.release || in_use(table))
		return;
	if (step > release_step(table))
		step = release_step(table);
	m->allocator.release(m->allocator.ctx, table->buckets + table->released, step);
	table->released += step;
}

/* Gives back a step of what growth has left, so that no write has to free a large array, or the overflow
 * buckets of many chains, alone. */
void table_release_retired(struct gomap *m)
{
	struct gomap_table *table = m->extra->retired;
	if (m->allocator.release && table->released < table->bytes)
		table_release(m, table, table->bytes);
	else if (table->slabs.len && !in_use(table))
		map_free(m, table->slabs.ptr[--table->slabs.len], slab_bytes(m, table));
	else
		sweep(m);
}

static void retire(struct gomap *m, struct gomap_table *table)
{
	bool large = m->allocator.release && table->bytes - table->released > release_step(table);
	if (large || table->slabs.len > 1 || in_use(table)) {
		table->next = m->extra->retired;
		m->extra->retired = table;
	} else {
		table_free(m, table);
	}
}

/* Frees an indirect key that was deleted, or keeps it while an iteration may compare it: the entry
 * is still in each array that it was evacuated from. */
bool table_bury(struct gomap *m, void *key)
{
	struct gomap_extra *x = m->extra;
	if (x->retired || in_use(x->table) || in_use(x->oldtable))
		return slice_push(m, &x->grave, key);
	map_free(m, key, m->shape.key_size);
	return true;
}

/* The array for a growth to 2^B: the one that waits, or a new one. */
static struct gomap_table *next_table(struct gomap *m, uint8_t B)
{
	struct gomap_extra *x = m->extra;
	if (x->waiting && x->waiting->B != B) {
		retire(m, x->waiting);
		x->waiting = NULL;
	}
	if (!x->waiting)
		x->waiting = table_new(m, B);
	return x->waiting;
}

/* To twice the buckets where the load is too high or about to be, else to as many. */
static uint8_t next_B(const struct gomap *m)
{
	return (uint8_t)(m->B + over_load((size_t)m->count + 1 + growth_lead(m), m->B));
}

/* Whether an insert has to start growth first. Where it is near, brings in one huge page of its array.
 * That the load is too high does not wait for that (and need not: see growth_lead), chains do. */
bool table_due(struct gomap *m)
{
	bool load = over_load((size_t)m->count + 1, m->B), chains = many_overflows(m);
	uint8_t B = next_B(m);
	if (!growth_lead(m) || (B == m->B && !chains))
		return load || chains;
	bool made = m->extra->waiting && m->extra->waiting->B == B;
	struct gomap_table *next = next_table(m, B);
	if (next && next->fetched < next->huge_pages) {
		if (made)
			huge_page_fetch(next->buckets + next->fetched++ * HUGE_PAGE);
		return load;
	}
	return load || chains;
}

/* Starts growth: to twice the buckets where the load is too high, else to as many, which rids the
 * chains of what deletion left. (go1.23 runtime/map.go: hashGrow) */
bool table_grow(struct gomap *m)
{
	struct gomap_extra *x = m->extra;
	sweep(m);
	struct gomap_table *table = next_table(m, next_B(m));
	if (!table)
		return false;
	x->waiting = NULL;
	bool bigger = table->B != m->B;
	uint8_t flags = m->flags & (uint8_t) ~(GOMAP_ITERATOR | GOMAP_OLD_ITERATOR);
	if (m->flags & GOMAP_ITERATOR)
		flags |= GOMAP_OLD_ITERATOR;
	if (!bigger)
		flags |= GOMAP_SAME_SIZE_GROW;
	m->flags = flags;
	m->nevacuate = 0;
	m->noverflow = 0;
	x->oldtable = x->table;
	x->oldoverflow = x->overflow;
	/* the order that gomap_impl_home counts on: the size last */
	char *old = m->buckets;
	table_use(m, table);
	__atomic_store_n(&m->oldbuckets, old, __ATOMIC_RELAXED);
	table_set_B(m, table->B);
	set_room(m);
	return true;
}

/* Ends growth, when all old buckets are evacuated. */
void table_grown(struct gomap *m)
{
	struct gomap_extra *x = m->extra;
	struct gomap_table *old = x->oldtable;
	__atomic_store_n(&m->oldbuckets, NULL, __ATOMIC_RELEASE);
	m->flags &= (uint8_t)~GOMAP_SAME_SIZE_GROW;
	x->oldtable = NULL;
	x->oldoverflow = NULL;
	retire(m, old);
	set_room(m);
}

/* Sees to it that the next n calls of table_overflow cannot fail. */
bool table_reserve(struct gomap *m, size_t n)
{
	struct gomap_table *table = m->extra->table;
	size_t bytes = slab_bytes(m, table);
	while (table->spare + (table->slabs.len - table->slabs_used) * slab_buckets(m, table) < n) {
		char *slab = map_alloc(m, bytes);
		if (!slab || !slice_push(m, &table->slabs, slab)) {
			map_free(m, slab, bytes);
			errno = ENOMEM;
			return false;
		}
	}
	return true;
}

/* Go counts exactly up to 2^15 buckets and by chance beyond, so that 16 bits are enough. */
static void count_overflow(struct gomap *m)
{
	if (m->B < 16 || (random_word() & ((UINT64_C(1) << (m->B - 15)) - 1)) == 0)
		++m->noverflow;
	set_room(m);
}

/* Hangs an empty bucket, reserved before, on the end of a chain of the current array. */
char *table_overflow(struct gomap *m, char *bucket)
{
	size_t size = gomap_impl_bucket_size(&m->shape);
	struct gomap_table *table = m->extra->table;
	if (table->spare == 0) {
		m->extra->nextOverflow = table->slabs.ptr[table->slabs_used++];
		table->spare = slab_buckets(m, table);
	}
	char *next = m->extra->nextOverflow;
	table->spare--;
	m->extra->nextOverflow = next + size;
	memcpy(bucket + size - sizeof(next), &next, sizeof(next));
	count_overflow(m);
	return next;
}

/* Frees the keys and elements that hang on the buckets from first on. */
static void free_entries(struct gomap *m, struct gomap_table *table, size_t first)
{
	const struct gomap_shape *s = &m->shape;
	size_t size = gomap_impl_bucket_size(s);
	if (!table || !(s->flags & (GOMAP_INDIRECT_KEY | GOMAP_INDIRECT_ELEM)))
		return;
	for (size_t n = first; n < (size_t)1 << table->B; ++n) {
		char *b = table->buckets + n * size;
		for (; b; b = gomap_impl_overflow(s, b)) {
			for (unsigned i = 0; i < GOMAP_SLOTS; ++i) {
				if ((uint8_t)b[i] < GOMAP_MIN_TOP)
					continue;
				if (s->flags & GOMAP_INDIRECT_KEY)
					map_free(m, gomap_impl_key(s, b, i), s->key_size);
				if (s->flags & GOMAP_INDIRECT_ELEM)
					map_free(m, gomap_impl_elem(s, b, i), s->elem_size);
			}
		}
	}
}

/* Empties the map and keeps its current array. Iterations see by clears that they are over, and
 * look at nothing but their table's count after that. */
void table_clear(struct gomap *m)
{
	struct gomap_extra *x = m->extra;
	m->clears++;
	m->count = 0;
	if (!x)
		return;
	free_entries(m, x->table, 0);
	free_entries(m, x->oldtable, m->nevacuate);
	free_grave(m);
	if (x->oldtable)
		table_grown(m);
	table_free(m, x->waiting);
	x->waiting = NULL;
	sweep(m);
	m->flags &= GOMAP_HASH_WRITING;
	m->noverflow = 0;
	m->nevacuate = 0;
	if (x->table) {
		free_slabs(m, x->table);
		memset(x->table->buckets, 0, x->table->bytes);
		x->table->spare = spare_for(x->table->B);
		table_use(m, x->table);
	}
	set_room(m);
}

void table_free_all(struct gomap *m)
{
	struct gomap_extra *x = m->extra;
	if (!x)
		return;
	free_entries(m, x->table, 0);
	free_entries(m, x->oldtable, m->nevacuate);
	free_grave(m);
	slice_done(m, &x->grave);
	table_free(m, x->table);
	table_free(m, x->oldtable);
	table_free(m, x->waiting);
	while (x->retired) {
		struct gomap_table *next = x->retired->next;
		table_free(m, x->retired);
		x->retired = next;
	}
	map_free(m, x, sizeof(*x));
}
