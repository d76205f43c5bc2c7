#include "target/compressed.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lz4frame.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "target/elffile.h"
#include "target/file.h"

enum {
	IN_SIZE = 128 << 10,
	OUT_SIZE = 256 << 10,
	PAGE_SIZE = 4096, /* what is all zero is left out page by page */
};

/* A bomb of zeros costs only time, as its pages are holes: 4 TiB is half an hour, and more memory
 * than the machines have whose cores come here. */
#define DECODED_SIZE_MAX (UINT64_C(4) << 40)

/* A bomb of other bytes fills the disk: from the first GiB on a core may not grow by more than this
 * factor. xz packs 100,000 equal goroutine stacks 300 to 1. */
#define WRITTEN_RATIO_MAX 2000
#define WRITTEN_FREE (UINT64_C(1) << 30)

/* xz -9 needs 65 MB; its format allows 4 GB. */
#define XZ_MEMORY_MAX (UINT64_C(256) << 20)

struct buffers {
	const uint8_t *in;
	size_t in_left;
	uint8_t *out;
	size_t out_left;
	bool last; /* no input follows */
	bool whole; /* set by step: what was decoded so far ends with the end of a frame */
};

/* One format. step moves bytes from in to out; false with *why where the input is damaged. */
struct format {
	const char *name;
	uint8_t magic[6];
	size_t magic_size;
	void *(*start)(void);
	bool (*step)(void *state, struct buffers *b, const char **why);
	void (*stop)(void *state);
};

static void *zstd_start(void)
{
	return ZSTD_createDStream();
}

static void zstd_stop(void *state)
{
	ZSTD_freeDStream(state);
}

static bool zstd_step(void *state, struct buffers *b, const char **why)
{
	ZSTD_inBuffer in = {b->in, b->in_left, 0};
	ZSTD_outBuffer out = {b->out, b->out_left, 0};
	size_t rc = ZSTD_decompressStream(state, &out, &in);
	if (ZSTD_isError(rc)) {
		*why = ZSTD_getErrorName(rc);
		return false;
	}
	b->in += in.pos;
	b->in_left -= in.pos;
	b->out += out.pos;
	b->out_left -= out.pos;
	b->whole = rc == 0;
	return true;
}

static void *lz4_start(void)
{
	LZ4F_dctx *state = NULL;
	if (LZ4F_isError(LZ4F_createDecompressionContext(&state, LZ4F_VERSION)))
		return NULL;
	return state;
}

static void lz4_stop(void *state)
{
	LZ4F_freeDecompressionContext(state);
}

static bool lz4_step(void *state, struct buffers *b, const char **why)
{
	size_t in = b->in_left, out = b->out_left;
	size_t rc = LZ4F_decompress(state, b->out, &out, b->in, &in, NULL);
	if (LZ4F_isError(rc)) {
		*why = LZ4F_getErrorName(rc);
		return false;
	}
	b->in += in;
	b->in_left -= in;
	b->out += out;
	b->out_left -= out;
	b->whole = rc == 0;
	return true;
}

static void *xz_start(void)
{
	lzma_stream *stream = malloc(sizeof(*stream));
	if (!stream)
		return NULL;
	*stream = (lzma_stream)LZMA_STREAM_INIT;
	if (lzma_stream_decoder(stream, XZ_MEMORY_MAX, LZMA_CONCATENATED) != LZMA_OK) {
		free(stream);
		return NULL;
	}
	return stream;
}

static void xz_stop(void *state)
{
	lzma_end(state);
	free(state);
}

static bool xz_step(void *state, struct buffers *b, const char **why)
{
	lzma_stream *stream = state;
	stream->next_in = b->in;
	stream->avail_in = b->in_left;
	stream->next_out = b->out;
	stream->avail_out = b->out_left;
	lzma_ret rc = lzma_code(stream, b->last ? LZMA_FINISH : LZMA_RUN);
	b->in = stream->next_in;
	b->in_left = stream->avail_in;
	b->out = stream->next_out;
	b->out_left = stream->avail_out;
	b->whole = rc == LZMA_STREAM_END;
	if (rc == LZMA_MEMLIMIT_ERROR)
		*why = "its dictionary needs more than 256 MB";
	else if (rc == LZMA_MEM_ERROR)
		*why = "out of memory";
	else
		*why = "corrupt data";
	/* LZMA_BUF_ERROR: no progress, because the input is at its end. */
	return rc == LZMA_OK || rc == LZMA_STREAM_END || rc == LZMA_BUF_ERROR;
}

static const struct format formats[] = {
	{"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, zstd_start, zstd_step, zstd_stop},
	{"lz4", {0x04, 0x22, 0x4d, 0x18}, 4, lz4_start, lz4_step, lz4_stop},
	{"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, xz_start, xz_step, xz_stop},
	/* Only to say what it is: */
	{"gzip", {0x1f, 0x8b}, 2, NULL, NULL, NULL},
	{"bzip2", {'B', 'Z', 'h'}, 3, NULL, NULL, NULL},
};

static const struct format *format_of(const void *head, size_t n)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		const struct format *f = &formats[i];
		if (n >= f->magic_size && memcmp(head, f->magic, f->magic_size) == 0)
			return f;
	}
	return NULL;
}

const char *compressed_kind(const void *head, size_t n)
{
	const struct format *format = format_of(head, n);
	return format ? format->name : NULL;
}

/* The file that is decoded into. */
struct sink {
	int fd;
	const char *dir;
	uint64_t size; /* decoded so far, holes included */
	uint64_t written; /* of these, bytes that are not in holes */
	uint64_t written_max;
};

static enum status sink_open(struct sink *sink, const char *tmpdir, uint64_t size,
			     struct error *err)
{
	const char *dir = tmpdir;
	if (!dir)
		dir = getenv("TMPDIR");
	if (!dir || !*dir)
		dir = "/var/tmp";
	sink->dir = dir;
	sink->written_max = size > UINT64_MAX / WRITTEN_RATIO_MAX ? UINT64_MAX
								  : size * WRITTEN_RATIO_MAX;
	if (sink->written_max < WRITTEN_FREE)
		sink->written_max = WRITTEN_FREE;
	sink->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (sink->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		char path[4096];
		if ((size_t)snprintf(path, sizeof(path), "%s/mapcrash.XXXXXX", dir) < sizeof(path))
			sink->fd = mkostemp(path, O_CLOEXEC);
		if (sink->fd >= 0)
			unlink(path);
	}
	if (sink->fd < 0)
		return error_sys(err, "no file for the decompressed core in %.120s", dir);
	return OK;
}

static enum status sink_write(struct sink *sink, const uint8_t *p, size_t n, struct error *err)
{
	uint64_t offset = sink->size;
	if (n > sink->written_max - sink->written)
		return error_set(err, ERROR_LIMIT,
				 "decompresses to more than %" PRIu64
				 " MB: refused, decompress it by hand",
				 sink->written_max >> 20);
	sink->written += n;
	while (n) {
		ssize_t part = pwrite(sink->fd, p, n, (off_t)offset);
		if (part < 0 && errno == EINTR)
			continue;
		if (part < 0)
			return error_sys(
				err,
				"cannot write the decompressed core to %.80s after %" PRIu64
				" MB (set TMPDIR to a folder with more room)",
				sink->dir, sink->size >> 20);
		p += part;
		n -= (size_t)part;
		offset += (size_t)part;
	}
	return OK;
}

/* Appends n bytes; pages of zeros become holes. */
static enum status sink_append(struct sink *sink, const uint8_t *p, size_t n, struct error *err)
{
	static const uint8_t zeros[PAGE_SIZE];
	if (n > DECODED_SIZE_MAX - sink->size)
		return error_set(err, ERROR_LIMIT,
				 "decompresses to more than %" PRIu64 " TiB: refused",
				 (uint64_t)(DECODED_SIZE_MAX >> 40));
	while (n) {
		size_t take = n < PAGE_SIZE ? n : PAGE_SIZE;
		if (memcmp(p, zeros, take) != 0 && sink_write(sink, p, take, err) != OK)
			return FAILED;
		sink->size += take;
		p += take;
		n -= take;
	}
	return OK;
}

/* Whether these first bytes of the decoded file are a core's: else there is no need to go on. */
static enum status check_head(const uint8_t *p, size_t n, const char *format, struct error *err)
{
	struct elf_header header;
	if (compressed_kind(p, n))
		return error_set(err, ERROR_UNSUPPORTED,
				 "%s data inside %s data: decompress it by hand",
				 compressed_kind(p, n), format);
	if (elf_header_parse(p, n, &header, err) != OK)
		return error_prefix(err, "%s data that is no core", format);
	if (header.type != ET_CORE)
		return error_set(err, ERROR_FORMAT,
				 "a compressed file that is no core (ELF type %u)", header.type);
	return OK;
}

struct work {
	const struct format *format;
	void *state;
	uint8_t *in, *out;
};

static void work_done(struct work *work)
{
	if (work->state)
		work->format->stop(work->state);
	free(work->in);
	free(work->out);
}

static enum status flush(const struct work *work, struct buffers *b, struct sink *sink,
			 struct error *err)
{
	size_t n = OUT_SIZE - b->out_left;
	if (sink->size == 0 && check_head(work->out, n, work->format->name, err) != OK)
		return FAILED;
	if (sink_append(sink, work->out, n, err) != OK)
		return FAILED;
	b->out = work->out;
	b->out_left = OUT_SIZE;
	return OK;
}

/* Decodes all there is. Damage ends it: *ret_why says what, NULL where all was well. */
static enum status decode(const struct work *work, int fd, struct sink *sink, const char **ret_why,
			  struct error *err)
{
	struct buffers b = {.out = work->out, .out_left = OUT_SIZE};
	uint64_t pos = 0;
	const char *why = NULL;
	for (;;) {
		if (!b.in_left && !b.last) {
			ssize_t got = file_read(fd, work->in, IN_SIZE, pos);
			if (got < 0)
				return error_sys(err, "cannot read the compressed core");
			b.in = work->in;
			b.in_left = (size_t)got;
			b.last = got < IN_SIZE;
			pos += (uint64_t)got;
			if (!got && b.whole)
				break; /* nothing behind the last frame */
		}
		size_t in_before = b.in_left, out_before = b.out_left;
		if (!work->format->step(work->state, &b, &why))
			break;
		why = NULL;
		bool stuck = b.in_left == in_before && b.out_left == out_before;
		if (!b.out_left && flush(work, &b, sink, err) != OK)
			return FAILED;
		if (b.last && !b.in_left && b.whole)
			break;
		if (stuck && b.last) {
			why = "cut off";
			break;
		}
	}
	if (b.out_left < OUT_SIZE && flush(work, &b, sink, err) != OK)
		return FAILED;
	*ret_why = why;
	return OK;
}

enum status compressed_decode(int fd, uint64_t size, const char *tmpdir, struct notes *notes,
			      int *ret_fd, uint64_t *ret_size, struct error *err)
{
	uint8_t head[8];
	ssize_t got = file_read(fd, head, sizeof(head), 0);
	if (got < 0)
		return error_sys(err, "cannot read the compressed core");
	const struct format *format = format_of(head, (size_t)got);
	if (!format)
		return error_set(err, ERROR_FORMAT, "not compressed");
	if (!format->start)
		return error_set(err, ERROR_UNSUPPORTED, "%s data: decompress it first",
				 format->name);
	struct sink sink = {.fd = -1};
	__attribute__((cleanup(work_done))) struct work work = {
		.format = format,
		.state = format->start(),
		.in = malloc(IN_SIZE),
		.out = malloc(OUT_SIZE),
	};
	if (!work.state || !work.in || !work.out)
		return error_nomem(err);
	if (sink_open(&sink, tmpdir, size, err) != OK)
		return FAILED;
	AUTO_FD int out = sink.fd;
	const char *why = NULL;
	if (decode(&work, fd, &sink, &why, err) != OK)
		return FAILED;
	if (sink.size == 0)
		return error_set(err, ERROR_FORMAT, "%s data without content (%s)", format->name,
				 why ? why : "empty");
	/* Holes at the end count, too. */
	if (ftruncate(out, (off_t)sink.size) != 0)
		return error_sys(err, "cannot write the decompressed core to %.80s", sink.dir);
	if (why)
		notes_add(notes, "target", 0,
			  "the %s data is damaged or cut off (%s): %" PRIu64 " bytes decompressed",
			  format->name, why, sink.size);
	*ret_fd = TAKE_FD(out);
	*ret_size = sink.size;
	return OK;
}
