/*
 * gomap: Go's bucket map in C, which catches concurrent misuse and names both threads.
 *
 * A map from keys to elements with the memory layout, growth and iteration of Go's map up to
 * go1.23 (runtime/map.go): 2^B buckets of eight slots, overflow chains, incremental growth, random
 * iteration order that tolerates insert, delete and growth meanwhile. Two threads that use one map
 * without a lock are caught: the report names both, with stack and call site, and the process
 * aborts with a core. For a map that threads are to share, there is gomap_shared at the end.
 *
 *     GOMAP_DEFINE_INT(ages, uint64_t, int)
 *
 *     struct ages *m = ages_new(0);
 *     ages_put(m, 7, 42);
 *     int age;
 *     if (ages_get(m, 7, &age))
 *             printf("%d\n", age);
 *     ages_free(m);
 *
 * The rules of the whole family, which a function repeats only where it differs:
 *
 * NULL     A NULL map reads as an empty one and is refused by writes (EINVAL), as in Go. The
 *          _free and _done functions ignore NULL. Every other pointer must be valid.
 * Owners   The map owns its memory and copies keys and elements by value. What a key or an element
 *          points to stays the caller's, and what a key points to must not change while it is in.
 * Pointers into the map (find, assign, iteration) are valid until the next write to the map.
 * Errors   A write that fails changes nothing and sets errno: ENOMEM (no memory), EINVAL (a NULL
 *          map, a type that makes no sense), EBUSY (another thread was in the map and the handler
 *          returned). The library prints nothing and does not exit, except by the default handler.
 * Threads  Any number of threads may read and iterate at once. A write excludes every other use of
 *          the same map: the caller holds a lock, or uses gomap_shared. Distinct maps are
 *          independent.
 *
 * 64-bit Linux, GCC or clang, C11 or C++11. Needs libc and threads only.
 */
#ifndef GOMAP_H
#define GOMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(__LP64__)
#error "gomap has Go's 64-bit layout and needs an LP64 machine"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define GOMAP_VERSION_MAJOR 1
#define GOMAP_VERSION_MINOR 0
#define GOMAP_VERSION_PATCH 0

/*
 * How much is detected, chosen for each translation unit by -DGOMAP_DETECT=..., and for the
 * functions inside the library when the library is built (CMake option GOMAP_DETECT).
 *
 * GOMAP_DETECT_EXACT  the default: each overlap of a write with a write, a read or an iteration is
 *                     caught by one of the two, and the report has both sides.
 * GOMAP_DETECT_GO     Go's plain flag, with Go's races: most overlaps, one side.
 * GOMAP_DETECT_OFF    no check, no cost.
 */
#define GOMAP_DETECT_OFF 0
#define GOMAP_DETECT_GO 1
#define GOMAP_DETECT_EXACT 2
#ifndef GOMAP_DETECT
#define GOMAP_DETECT GOMAP_DETECT_EXACT
#endif

/* ---- types ------------------------------------------------------------------------------- */

/* Two secret words, drawn for each map from the system's random source. A hash that does not mix
 * them in can be flooded with colliding keys. */
struct gomap_seed {
	uint64_t a, b; /* b is odd */
};

/* A string key: bytes that the caller owns, NULs allowed, ptr may be NULL when len is 0. */
struct gomap_string {
	const char *ptr;
	size_t len;
};

/* What the fast paths know how to hash and compare by themselves. */
enum gomap_kind {
	GOMAP_OTHER, /* by the type's hash and equal */
	GOMAP_INT32, /* four bytes, equal when the bytes are */
	GOMAP_INT64, /* eight bytes, likewise; pointers too */
	GOMAP_STRING, /* struct gomap_string */
};

/* The flags of a type; numbers of Go's maptype (go1.23 internal/abi/map.go) for the same things. */
enum {
	GOMAP_IRREFLEXIVE = 1 << 8, /* a key may differ from itself (NaN); Go: not reflexivekey */
	GOMAP_KEY_UPDATE = 8, /* a write replaces an equal key (+0 and -0) */
};

/* A type of map. Constant, and alive as long as any map of it. */
struct gomap_type {
	const char *name; /* in reports: "map[string]int"; may be NULL */
	enum gomap_kind kind;
	unsigned flags;
	uint32_t key_size, elem_size; /* bytes; over 128 a slot holds a pointer, as in Go */
	uint32_t key_align, elem_align; /* over 8 likewise; 16 at most */
	/* For GOMAP_OTHER: both needed. Equal keys hash equally. They must not use the map. */
	uint64_t (*hash)(const void *key, const struct gomap_seed *seed);
	bool (*equal)(const void *a, const void *b);
	/* Optional: a key as text for reports, like snprintf. NULL: numbers, strings, else hex. */
	int (*format)(const void *key, char *buf, size_t size);
};

#ifdef __cplusplus
#define GOMAP_ALIGNOF(T) alignof(T)
#else
#define GOMAP_ALIGNOF(T) _Alignof(T)
#endif

/* Initialises a struct gomap_type whose keys are compared by hash and equal:
 *     static const struct gomap_type points =
 *             GOMAP_TYPE("map[point]int", struct point, int, point_hash, point_equal, 0); */
#define GOMAP_TYPE(name, K, V, hash, equal, flags)                                \
	{                                                                         \
		name, GOMAP_OTHER, flags, sizeof(K), sizeof(V), GOMAP_ALIGNOF(K), \
			GOMAP_ALIGNOF(V), hash, equal, NULL                       \
	}

/* The same for integers and pointers of four or eight bytes. */
#define GOMAP_TYPE_INT(name, K, V)                                                         \
	{                                                                                  \
		name, sizeof(K) == 4 ? GOMAP_INT32 : GOMAP_INT64, 0, sizeof(K), sizeof(V), \
			GOMAP_ALIGNOF(K), GOMAP_ALIGNOF(V), NULL, NULL, NULL               \
	}

/* The same for struct gomap_string. */
#define GOMAP_TYPE_STRING(name, V)                                                             \
	{                                                                                      \
		name, GOMAP_STRING, 0, sizeof(struct gomap_string), sizeof(V),                 \
			GOMAP_ALIGNOF(struct gomap_string), GOMAP_ALIGNOF(V), NULL, NULL, NULL \
	}

/* Hashes to build a type's hash from; keyed by seed, of the strength of Go's portable memhash:
 * they resist who does not know the seed, and are no cryptography. Floats hash as Go's do: +0 and
 * -0 alike, each NaN differently every time. Any thread.
 *     return gomap_hash_bytes(&p->x, 2 * sizeof(int), seed); */
uint64_t gomap_hash_bytes(const void *p, size_t n, const struct gomap_seed *seed);
uint64_t gomap_hash_f32(const void *key, const struct gomap_seed *seed);
uint64_t gomap_hash_f64(const void *key, const struct gomap_seed *seed);
bool gomap_equal_f32(const void *a, const void *b);
bool gomap_equal_f64(const void *a, const void *b);

/* Where a map gets its memory. alloc returns size zeroed bytes aligned to 64, or NULL; free gets
 * the same size back. release, which may be NULL, says that the bytes (a part of one allocation)
 * will not be read again until free; they may then read as anything. */
struct gomap_allocator {
	void *(*alloc)(void *ctx, size_t size);
	void (*free)(void *ctx, void *p, size_t size);
	void (*release)(void *ctx, void *p, size_t size);
	void *ctx;
};

/* What a map without an allocator of its own uses, and for arrays of 4 MB and more huge pages
 * (madvise(2), MADV_HUGEPAGE) where the kernel has them: growth to a million entries takes a third
 * less, memory comes and goes 2 MB at a time, and an insert may have to wait until the system has
 * found a page: 0.1 ms mostly, several in a virtual machine whose host is short of memory.
 *     struct gomap *m = gomap_new(&points, 1000, &gomap_huge_pages); */
extern const struct gomap_allocator gomap_huge_pages;

/* ---- the map ----------------------------------------------------------------------------- */

/* How a type lies in a bucket: worked out once for each map, constant in typed code. */
struct gomap_shape {
	enum gomap_kind kind;
	unsigned flags; /* of the type, and GOMAP_INDIRECT_* */
	uint32_t key_size, elem_size;
	uint32_t key_slot, elem_slot; /* bytes in the bucket: the size, or 8 for a pointer */
	uint64_t (*hash)(const void *key, const struct gomap_seed *seed);
	bool (*equal)(const void *a, const void *b);
};

enum { GOMAP_INDIRECT_KEY = 1, GOMAP_INDIRECT_ELEM = 2 };

/* hmap.flags, Go's numbers. */
enum {
	GOMAP_ITERATOR = 1,
	GOMAP_OLD_ITERATOR = 2,
	GOMAP_HASH_WRITING = 4,
	GOMAP_SAME_SIZE_GROW = 8,
};

struct gomap_extra;

/* What a debugger needs to know of a map beyond Go's header. It stands in each map, for the heap is
 * in every core, and a library's constants are not. The magic's digits are the version of what
 * follows, of the encoding of writer, turn, site and bias, and of the hash of integers and strings. */
#define GOMAP_MAGIC "gomap/01"
enum { GOMAP_DESCRIPTOR_AT = 112 };
struct gomap_descriptor {
	char magic[8];
	uint16_t size, writer, turn, site, bias, seed, shape, type; /* offsets in struct gomap */
};

/* A map. The first 48 bytes are Go's hmap (go1.19 to go1.23, runtime/map.go); a debugger that
 * reads Go's maps reads this one. Look, and change nothing. */
struct gomap {
	intptr_t count;
	uint8_t flags;
	uint8_t B; /* there are 2^B buckets */
	uint16_t noverflow;
	uint32_t hash0;
	char *buckets;
	char *oldbuckets; /* half as many, or as many, while growing; else NULL */
	uintptr_t nevacuate; /* old buckets below this one are evacuated */
	struct gomap_extra *extra;

	/* Who writes: see "Detection" in gomap_inline.h. */
	uint64_t writer;
	uint64_t turn;
	uint64_t site;
	uint32_t bias;

	uint32_t clears; /* how often the map was cleared: iterations end there */
	struct gomap_seed seed;
	uintptr_t mask; /* 2^B - 1 */
	uintptr_t room; /* an insert at this count or above takes the slow way: growth, or all do */
	struct gomap_descriptor descriptor; /* at GOMAP_DESCRIPTOR_AT */
	struct gomap_shape shape;
	const struct gomap_type *type;
	struct gomap_allocator allocator;
};

/* Makes an empty map that takes hint elements without growing. allocator NULL: malloc, and mmap
 * for large arrays; else it is copied. Returns the map, which the caller frees
 * with gomap_free, or NULL with errno ENOMEM or EINVAL (type NULL, without a hash, or aligned to
 * more than 16). Any thread.
 *     struct gomap *m = gomap_new(&points, 1000, NULL); */
struct gomap *gomap_new(const struct gomap_type *type, size_t hint,
			const struct gomap_allocator *allocator);

/* Frees the map and its memory, whatever iterations are left open. NULL is ignored. No other
 * thread may use the map any more.
 *     gomap_free(m); */
void gomap_free(struct gomap *m);

/* The number of elements; 0 for NULL. A read.
 *     assert(gomap_len(m) == 0); */
size_t gomap_len(const struct gomap *m);

/* The element of key, to read or to change in place, or NULL: not there, m NULL, or refused
 * (errno is then EBUSY). What the caller does with the pointer is no longer watched. A read.
 *     int *n = gomap_find(m, &p); */
void *gomap_find(const struct gomap *m, const void *key);

/* Copies the element of key to ret_elem and returns true; where there is none, zeroes ret_elem
 * and returns false, as Go's m[k] does. ret_elem may be NULL. A read, the copy included.
 *     if (gomap_get(m, &p, &n)) ... */
bool gomap_get(const struct gomap *m, const void *key, void *ret_elem);

/* The element of key, made and zeroed where there was none. NULL with errno on failure. What is
 * stored through the pointer is stored after the write is over: prefer gomap_put where threads
 * are about. A write.
 *     int *n = gomap_assign(m, &p);
 *     if (n)
 *             ++*n; */
void *gomap_assign(struct gomap *m, const void *key);

/* Sets the element of key to *elem. False with errno on failure. A write.
 *     if (!gomap_put(m, &p, &(int){1}))
 *             err(1, "gomap_put"); */
bool gomap_put(struct gomap *m, const void *key, const void *elem);

/* Removes key; returns whether it was there. Where ret_key or ret_elem is not NULL, the removed
 * key or element is copied there first, so that what it points to can be freed. False with errno
 * EBUSY or ENOMEM (a growing map moves its entries first) on failure; a missing key leaves errno
 * alone. A write, also when nothing is removed.
 *     gomap_delete(m, &name, &name, NULL);
 *     free((char *)name.ptr); */
bool gomap_delete(struct gomap *m, const void *key, void *ret_key, void *ret_elem);

/* Removes everything and keeps the memory. Open iterations end. False with errno. A write.
 *     gomap_clear(m); */
bool gomap_clear(struct gomap *m);

/* ---- iteration --------------------------------------------------------------------------- */

struct gomap_table;

/* An iteration under way: key and elem are for the caller, the rest is not. */
struct gomap_iter {
	const void *key; /* NULL when the iteration is over */
	void *elem;
	const struct gomap *map;
	char *buckets; /* the array that this iteration walks */
	char *bucket; /* the bucket that it is in, or NULL */
	struct gomap_table *table, *oldtable; /* kept alive for it */
	uintptr_t start, next, check;
	uint32_t clears;
	uint8_t B, offset, wrapped, pending, last;
};

/* Starts an iteration over m and stops before the first element. Each element that stays in the
 * map throughout comes exactly once, one that is deleted before it was reached does not come, one
 * that is inserted meanwhile may come or not; the order is random. The thread may write to the map
 * between two steps. A read, and so is each step; two threads may iterate at once, each with an
 * iterator of its own. it must not be copied.
 *     struct gomap_iter it;
 *     gomap_iter_init(&it, m);
 *     while (gomap_iter_next(&it))
 *             use(it.key, it.elem); */
void gomap_iter_init(struct gomap_iter *it, const struct gomap *m);

/* Steps to the next element and returns true, or ends the iteration (also where refused, errno is
 * then EBUSY), releases what it holds and returns false. */
bool gomap_iter_next(struct gomap_iter *it);

/* Ends an iteration that is left early. Needed after a break: until then the map keeps arrays that
 * it has outgrown. Does nothing where gomap_iter_next has returned false, or for NULL. A read.
 *     while (gomap_iter_next(&it))
 *             if (found(it.key))
 *                     break;
 *     gomap_iter_done(&it); */
void gomap_iter_done(struct gomap_iter *it);

/* ---- what is caught ---------------------------------------------------------------------- */

enum gomap_op {
	GOMAP_READ = 1,
	GOMAP_ITERATE,
	GOMAP_ASSIGN,
	GOMAP_DELETE,
	GOMAP_CLEAR,
};

enum { GOMAP_STACK_MAX = 32 }; /* frames of the detector: deep enough for its callers */

/* One side of a conflict. */
struct gomap_side {
	enum gomap_op op;
	int tid; /* the kernel's thread id; 0 where not known */
	char name[16]; /* the thread's name; empty where the thread is gone or not known */
	void *site; /* an address in the calling function; NULL where not known */
};

/* Two uses of one map that overlap, at least one of them a write. Valid inside the handler. */
struct gomap_conflict {
	const char *message; /* Go's text: "concurrent map writes", ... */
	const struct gomap *map;
	struct gomap_side detector; /* the thread that runs the handler */
	struct gomap_side other; /* always a writer */
	const void *key; /* the detector's key, or NULL (iterate, clear) */
	char key_text[64]; /* the same as text, empty without one */
	void *stack[GOMAP_STACK_MAX]; /* the detector's, innermost first */
	int depth;
};

/* Sets what runs when misuse is caught, for all maps of the process, and returns what was set
 * before. NULL sets the default: print gomap_conflict_print's text to stderr and abort. Where a
 * handler returns, the detecting operation is refused (EBUSY); a map that was read or written by
 * two threads may be damaged all the same. The handler may run in several threads at once. Any
 * thread.
 *     gomap_set_handler(log_and_exit, logfile); */
typedef void gomap_handler(const struct gomap_conflict *conflict, void *arg);
gomap_handler *gomap_set_handler(gomap_handler *handler, void *arg);

/* Writes the report of a conflict to a file descriptor, Go's message first. Uses no heap. */
void gomap_conflict_print(const struct gomap_conflict *conflict, int fd);

/* The name of an operation: "read", "iterate", "assign", "delete", "clear". Never NULL. */
const char *gomap_op_name(enum gomap_op op);

/* ---- a map that threads share ------------------------------------------------------------ */

/*
 * The map to switch to when the detector has fired: the same types, any mix of calls from any
 * number of threads, no lock needed. Reads take no lock and never wait; writers lock one bucket;
 * growth is done by all writers, a bucket each. Each call is atomic (linearizable), but for
 * gomap_shared_each and gomap_shared_len. Elements are copied in and out, there are no pointers
 * into the map. How it works stands in lib/gomap/shared.c.
 */
struct gomap_shared;

/* As gomap_new, with the default allocator. Returns NULL with errno ENOMEM or EINVAL.
 *     struct gomap_shared *s = gomap_shared_new(&points, 0); */
struct gomap_shared *gomap_shared_new(const struct gomap_type *type, size_t hint);

/* Frees the map. NULL is ignored. No other thread may use it any more. */
void gomap_shared_free(struct gomap_shared *s);

/* The number of elements; while others write, one that was true of each part of the map at some
 * moment of the call. 0 for NULL. */
size_t gomap_shared_len(const struct gomap_shared *s);

/* As gomap_get, and safe beside any other call. A thread's first call on any shared map needs a
 * little memory; where there is none, it returns false with errno ENOMEM, whatever it does.
 *     if (gomap_shared_get(s, &p, &n)) ... */
bool gomap_shared_get(const struct gomap_shared *s, const void *key, void *ret_elem);

/* Sets the element of key. False with errno ENOMEM or EINVAL (s NULL), and nothing changed.
 *     gomap_shared_put(s, &p, &n); */
bool gomap_shared_put(struct gomap_shared *s, const void *key, const void *elem);

/* Removes key and returns whether it was there, its element in ret_elem unless that is NULL.
 *     if (gomap_shared_delete(s, &p, &n)) ... */
bool gomap_shared_delete(struct gomap_shared *s, const void *key, void *ret_elem);

/* What an update wants done with the element. */
enum gomap_verdict { GOMAP_KEEP, GOMAP_STORE, GOMAP_REMOVE };

/* Changes the element of key as one step: calls fn with a copy of the element (zeroed where there
 * is none, present says which) and does what it returns: store the copy, remove the key, or keep
 * all as it was. fn runs once, with the key's bucket locked: it must be short and must not use the
 * map. False with errno ENOMEM or EINVAL, and nothing changed.
 *     static enum gomap_verdict add_one(void *n, bool present, void *arg)
 *     {
 *             ++*(int *)n;
 *             return GOMAP_STORE;
 *     }
 *     gomap_shared_update(s, &p, add_one, NULL); */
typedef enum gomap_verdict gomap_update(void *elem, bool present, void *arg);
bool gomap_shared_update(struct gomap_shared *s, const void *key, gomap_update *fn, void *arg);

/* Calls fn with each element until it returns false, in no order. An element that is there
 * throughout comes exactly once; one that comes or goes meanwhile may come or not, at most once
 * unless it is deleted and put again. fn may use the map. Returns whether fn never returned false.
 *     gomap_shared_each(s, print_one, stdout); */
typedef bool gomap_visit(const void *key, const void *elem, void *arg);
bool gomap_shared_each(const struct gomap_shared *s, gomap_visit *fn, void *arg);

#ifdef __cplusplus
}
#endif

#include "gomap_inline.h"

#endif
