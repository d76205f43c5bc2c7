#include "faults/inject.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <unwind.h>

enum {
	FRAMES_MAX = 40, /* of a call stack: enough to tell the callers of a generic array apart */
	OWN_FRAMES = 4, /* find_caller, meet, out_of_memory and malloc */
	STACKS_BITS = 16, /* call stacks that are told apart; a run has some thousands */
};

static struct {
	bool armed, happened, inside, show;
	enum fault fault;
	uint64_t at;
	char *caller;
	uint64_t counts[CLASS_COUNT];
	/* tracing */
	bool tracing;
	enum fault_class traced;
	uint32_t *list, *list_count, list_max;
	uint64_t seen[1 << STACKS_BITS];
} state;

enum fault_class fault_class_of(enum fault fault)
{
	switch (fault) {
	case FAULT_READ_ERROR:
	case FAULT_READ_END:
	case FAULT_READ_SHORT:
	case FAULT_READ_INTERRUPTED:
		return CLASS_READ;
	case FAULT_OPEN:
		return CLASS_OPEN;
	case FAULT_MAP:
		return CLASS_MAP;
	case FAULT_WRITE:
		return CLASS_WRITE;
	default:
		return CLASS_ALLOC;
	}
}

void fault_arm(enum fault fault, uint64_t at)
{
	memset(state.counts, 0, sizeof(state.counts));
	state.happened = false;
	state.fault = fault;
	state.at = at;
	state.armed = true;
}

void fault_disarm(void)
{
	state.armed = false;
	state.tracing = false;
}

void fault_caller(char caller[FAULT_CALLER])
{
	state.caller = caller;
}

void fault_show(void)
{
	state.show = true;
}

uint64_t fault_count(enum fault_class class)
{
	return state.counts[class];
}

_Bool fault_happened(void)
{
	return state.happened;
}

void fault_trace(enum fault_class class, uint32_t *list, uint32_t *count, uint32_t max)
{
	memset(state.seen, 0, sizeof(state.seen));
	state.traced = class;
	state.list = list;
	state.list_count = count;
	state.list_max = max;
	*count = 0;
	state.tracing = true;
}

struct stack_hash {
	uint64_t hash;
	int depth;
};

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *arg)
{
	struct stack_hash *h = arg;
	h->hash = (h->hash ^ _Unwind_GetIP(context)) * 1099511628211ULL; /* FNV-1a */
	return ++h->depth < FRAMES_MAX ? _URC_NO_REASON : _URC_END_OF_STACK;
}

/* Whether this call stack is a new one. A full table tells no new ones. */
static bool stack_is_new(void)
{
	struct stack_hash h = {14695981039346656037ULL, 0};
	_Unwind_Backtrace(add_frame, &h);
	uint64_t hash = h.hash ? h.hash : 1;
	size_t mask = ((size_t)1 << STACKS_BITS) - 1, slot = hash >> 20 & mask;
	for (size_t i = 0; i <= mask; i++, slot = (slot + 1) & mask) {
		if (state.seen[slot] == hash)
			return false;
		if (!state.seen[slot]) {
			state.seen[slot] = hash;
			return true;
		}
	}
	return false;
}

/* The first file on the call stack that is neither this program's allocator nor libc's. */
static _Unwind_Reason_Code look_caller(struct _Unwind_Context *context, void *arg)
{
	Dl_info info;
	void *pc = (void *)(_Unwind_GetIP(context) - 1);
	int *depth = arg;
	if (++*depth <= OWN_FRAMES || !dladdr(pc, &info) || strstr(info.dli_fname, "/libc.so") ||
	    strstr(info.dli_fname, "/libasan.so"))
		return _URC_NO_REASON;
	const char *slash = strrchr(info.dli_fname, '/');
	snprintf(state.caller, FAULT_CALLER, "%s", slash ? slash + 1 : info.dli_fname);
	return _URC_END_OF_STACK;
}

[[gnu::noinline]] static void find_caller(void)
{
	int depth = 0;
	_Unwind_Backtrace(look_caller, &depth);
}

[[gnu::weak]] void __sanitizer_print_stack_trace(void);

/* Counts a call of this class; true when this is the one that fails. */
[[gnu::noinline]] static bool meet(enum fault_class class)
{
	if (!state.armed || state.inside)
		return false;
	uint64_t n = ++state.counts[class];
	if (state.tracing && class == state.traced && *state.list_count < state.list_max) {
		state.inside = true;
		if (stack_is_new())
			state.list[(*state.list_count)++] = (uint32_t)n;
		state.inside = false;
	}
	if (state.fault == FAULT_NONE || fault_class_of(state.fault) != class || n != state.at)
		return false;
	state.happened = true;
	state.armed = false;
	if (state.caller)
		find_caller();
	state.armed = true;
	if (state.show && __sanitizer_print_stack_trace) {
		state.armed = false;
		__sanitizer_print_stack_trace();
		state.armed = true;
	}
	return true;
}

/* The next definition of a function behind ours. */
#define REAL(name)                                                   \
	({                                                           \
		static __typeof__(&(name)) real_;                    \
		if (!real_)                                          \
			real_ = (__typeof__(real_))find_next(#name); \
		real_;                                               \
	})

static void *find_next(const char *name)
{
	bool was = state.inside;
	state.inside = true; /* dlsym may allocate */
	void *found = dlsym(RTLD_NEXT, name);
	state.inside = was;
	return found;
}

/* The allocators behind ours, asan's where it is there. Named, not looked up: looking up may allocate. */
[[gnu::weak]] void *__interceptor_malloc(size_t n);
[[gnu::weak]] void *__interceptor_calloc(size_t count, size_t n);
[[gnu::weak]] void *__interceptor_realloc(void *p, size_t n);
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);
#define REAL_ALLOC(name) (__interceptor_##name ? __interceptor_##name : __libc_##name)

[[gnu::noinline]] static bool out_of_memory(void)
{
	if (!meet(CLASS_ALLOC))
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return out_of_memory() ? NULL : REAL_ALLOC(malloc)(n);
}

void *calloc(size_t count, size_t n)
{
	return out_of_memory() ? NULL : REAL_ALLOC(calloc)(count, n);
}

void *realloc(void *p, size_t n)
{
	return out_of_memory() ? NULL : REAL_ALLOC(realloc)(p, n);
}

/* asan has its own of these three, which do not come by the functions above. */
void *reallocarray(void *p, size_t count, size_t n)
{
	size_t size;
	if (__builtin_mul_overflow(count, n, &size)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, size);
}

char *strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = malloc(n);
	return copy ? memcpy(copy, s, n) : NULL;
}

char *strndup(const char *s, size_t max)
{
	size_t n = strnlen(s, max);
	char *copy = malloc(n + 1);
	if (!copy)
		return NULL;
	copy[n] = '\0';
	return memcpy(copy, s, n);
}

/* Whether a read is cut; *ret is what it says then, *n how much it may read otherwise. */
static bool cut_read(size_t *n, ssize_t *ret)
{
	if (!*n || !meet(CLASS_READ))
		return false;
	switch (state.fault) {
	case FAULT_READ_END:
		*ret = 0;
		return true;
	case FAULT_READ_SHORT:
		/* /proc/PID/pagemap gives whole words only */
		*n = *n >= 16 ? *n / 2 & ~(size_t)7 : *n > 1 ? *n / 2 : 1;
		return false;
	default:
		errno = state.fault == FAULT_READ_INTERRUPTED ? EINTR : EIO;
		*ret = -1;
		return true;
	}
}

ssize_t pread(int fd, void *buf, size_t n, off_t offset)
{
	ssize_t ret;
	return cut_read(&n, &ret) ? ret : REAL(pread)(fd, buf, n, offset);
}

ssize_t read(int fd, void *buf, size_t n)
{
	ssize_t ret;
	return cut_read(&n, &ret) ? ret : REAL(read)(fd, buf, n);
}

ssize_t process_vm_readv(pid_t pid, const struct iovec *to, unsigned long to_count,
			 const struct iovec *from, unsigned long from_count, unsigned long flags)
{
	struct iovec first = *to;
	ssize_t ret;
	if (to_count == 1 && cut_read(&first.iov_len, &ret))
		return ret;
	return REAL(process_vm_readv)(pid, to_count == 1 ? &first : to, to_count, from, from_count,
				      flags);
}

static bool refused(void)
{
	if (!meet(CLASS_OPEN))
		return false;
	errno = EIO;
	return true;
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	if (flags & (O_CREAT | O_TMPFILE)) {
		va_list ap;
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return refused() ? -1 : REAL(open)(path, flags, mode);
}

/* openat2 has no function in libc. */
long syscall(long number, ...)
{
	long a[6];
	va_list ap;
	va_start(ap, number);
	for (size_t i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_openat2 && refused())
		return -1;
	return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

FILE *fopen(const char *path, const char *mode)
{
	return refused() ? NULL : REAL(fopen)(path, mode);
}

DIR *opendir(const char *path)
{
	return refused() ? NULL : REAL(opendir)(path);
}

ssize_t readlink(const char *path, char *buf, size_t n)
{
	return refused() ? -1 : REAL(readlink)(path, buf, n);
}

int fstat(int fd, struct stat *st)
{
	return refused() ? -1 : REAL(fstat)(fd, st);
}

void *mmap(void *addr, size_t n, int protection, int flags, int fd, off_t offset)
{
	if (fd >= 0 && meet(CLASS_MAP)) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return REAL(mmap)(addr, n, protection, flags, fd, offset);
}

static bool full(void)
{
	if (!meet(CLASS_WRITE))
		return false;
	errno = ENOSPC;
	return true;
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	return full() ? -1 : REAL(pwrite)(fd, buf, n, offset);
}

int ftruncate(int fd, off_t size)
{
	return full() ? -1 : REAL(ftruncate)(fd, size);
}
