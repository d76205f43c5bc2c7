#include "target/compressed.h"

#include <elf.h>
#include <fcntl.h>
#include <lz4frame.h>
#include <lzma.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zstd.h>

#include <cmocka.h>

#include "unit/target/elfwriter.h"

struct blob {
	uint8_t *p;
	size_t n;
};

static struct blob pack_zstd(const void *p, size_t n)
{
	size_t cap = ZSTD_compressBound(n);
	uint8_t *out = malloc(cap);
	return (struct blob){out, ZSTD_compress(out, cap, p, n, 3)};
}

static struct blob pack_lz4(const void *p, size_t n)
{
	size_t cap = LZ4F_compressFrameBound(n, NULL);
	uint8_t *out = malloc(cap);
	return (struct blob){out, LZ4F_compressFrame(out, cap, p, n, NULL)};
}

static struct blob pack_xz(const void *p, size_t n)
{
	size_t cap = lzma_stream_buffer_bound(n), at = 0;
	uint8_t *out = malloc(cap);
	assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, p, n, out, &at, cap),
			 LZMA_OK);
	return (struct blob){out, at};
}

static const struct {
	const char *name;
	struct blob (*pack)(const void *p, size_t n);
} packers[] = {{"zstd", pack_zstd}, {"lz4", pack_lz4}, {"xz", pack_xz}};

enum { PACKERS = 3 };

static int file_of(const void *p, size_t n)
{
	int fd = memfd_create("compressed", MFD_CLOEXEC);
	assert_int_equal(write(fd, p, n), n);
	return fd;
}

/* A core-like file: header, noise, a megabyte of zeros, noise, zeros at the end. */
static struct blob plain_core(void)
{
	struct blob b = {calloc(1, 3 << 20), 3 << 20};
	struct elfw w = elfw_new(ET_CORE, EM_X86_64);
	memcpy(b.p, &w.header, sizeof(w.header));
	unsigned seed = 7;
	for (size_t i = 100; i < 1 << 20; i++)
		b.p[i] = (uint8_t)rand_r(&seed);
	for (size_t i = 2 << 20; i < (5 << 20) / 2; i++)
		b.p[i] = (uint8_t)rand_r(&seed);
	return b;
}

static enum status decode(const void *p, size_t n, const char *tmpdir, struct notes *notes,
			  int *ret_fd, uint64_t *ret_size, struct error *err)
{
	int fd = file_of(p, n);
	enum status status = compressed_decode(fd, n, tmpdir, notes, ret_fd, ret_size, err);
	close(fd);
	return status;
}

static void assert_decodes_to(const struct blob *packed, const uint8_t *p, size_t n)
{
	struct error err = {0};
	int fd = -1;
	uint64_t size = 0;
	struct notes notes = NOTES_INIT;
	if (decode(packed->p, packed->n, "/tmp", &notes, &fd, &size, &err) != OK)
		fail_msg("%s", err.text);
	assert_int_equal(size, n);
	assert_int_equal(notes.count, 0);
	uint8_t *back = malloc(n);
	assert_int_equal(pread(fd, back, n, 0), n);
	assert_memory_equal(back, p, n);
	free(back);
	close(fd);
}

static void a_round_trip_gives_every_byte_back(void **state)
{
	(void)state;
	struct blob plain = plain_core();
	for (int i = 0; i < PACKERS; i++) {
		struct blob packed = packers[i].pack(plain.p, plain.n);
		assert_string_equal(compressed_kind(packed.p, packed.n), packers[i].name);
		assert_decodes_to(&packed, plain.p, plain.n);
		free(packed.p);
	}
	free(plain.p);
}

static void several_frames_are_one_core(void **state)
{
	(void)state;
	struct blob plain = plain_core();
	size_t half = 1234567;
	for (int i = 0; i < PACKERS; i++) {
		struct blob a = packers[i].pack(plain.p, half);
		struct blob b = packers[i].pack(plain.p + half, plain.n - half);
		struct blob both = {malloc(a.n + b.n), a.n + b.n};
		memcpy(both.p, a.p, a.n);
		memcpy(both.p + a.n, b.p, b.n);
		assert_decodes_to(&both, plain.p, plain.n);
		free(a.p);
		free(b.p);
		free(both.p);
	}
	free(plain.p);
}

static void pages_of_zeros_take_no_room(void **state)
{
	(void)state;
	struct blob plain = plain_core();
	struct blob packed = pack_zstd(plain.p, plain.n);
	int fd = -1;
	uint64_t size = 0;
	struct stat st;
	assert_int_equal(decode(packed.p, packed.n, "/tmp", NULL, &fd, &size, NULL), OK);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, plain.n);
	assert_true(st.st_blocks * 512 < 2 << 20); /* of 3 MB, half are zeros */
	assert_int_equal(st.st_nlink, 0);
	close(fd);
	free(packed.p);
	free(plain.p);
}

static void a_cut_core_is_decoded_as_far_as_it_goes(void **state)
{
	(void)state;
	struct blob plain = plain_core();
	for (int i = 0; i < PACKERS; i++) {
		struct blob packed = packers[i].pack(plain.p, plain.n);
		for (size_t cut = packed.n / 2; cut < packed.n; cut += packed.n / 20) {
			struct notes notes = NOTES_INIT;
			struct error err = {0};
			int fd = -1;
			uint64_t size = 0;
			if (decode(packed.p, cut, "/tmp", &notes, &fd, &size, &err) != OK)
				fail_msg("%s at %zu: %s", packers[i].name, cut, err.text);
			assert_int_equal(notes.count, 1);
			assert_non_null(strstr(notes.list[0].text, "cut off"));
			assert_true(size > 0 && size <= plain.n);
			uint8_t *back = malloc(size);
			assert_int_equal(pread(fd, back, size, 0), size);
			assert_memory_equal(back, plain.p, size);
			free(back);
			close(fd);
			notes_done(&notes);
		}
		free(packed.p);
	}
	free(plain.p);
}

static void one_missing_byte_at_the_end_is_noted(void **state)
{
	(void)state;
	struct blob plain = plain_core();
	for (int i = 0; i < PACKERS; i++) {
		struct blob packed = packers[i].pack(plain.p, plain.n);
		struct notes notes = NOTES_INIT;
		int fd = -1;
		uint64_t size = 0;
		assert_int_equal(decode(packed.p, packed.n - 1, "/tmp", &notes, &fd, &size, NULL),
				 OK);
		assert_int_equal(notes.count, 1);
		close(fd);
		notes_done(&notes);
		free(packed.p);
	}
	free(plain.p);
}

static void damage_in_the_middle_is_noted(void **state)
{
	(void)state;
	struct blob plain = plain_core();
	for (int i = 0; i < PACKERS; i++) {
		struct blob packed = packers[i].pack(plain.p, plain.n);
		memset(packed.p + packed.n / 2, 0xa5, 64);
		struct notes notes = NOTES_INIT;
		struct error err = {0};
		int fd = -1;
		uint64_t size = 0;
		/* lz4 and zstd frames without checksums may decode noise as noise: noise it was. */
		if (decode(packed.p, packed.n, "/tmp", &notes, &fd, &size, &err) == OK) {
			if (size < plain.n)
				assert_int_equal(notes.count, 1);
			close(fd);
		} else {
			assert_true(err.text[0] != '\0');
		}
		notes_done(&notes);
		free(packed.p);
	}
	free(plain.p);
}

static void a_compressed_file_that_is_no_core_is_refused(void **state)
{
	(void)state;
	static const char text[] = "this is a text, and a text is no core at all, it is a text";
	int fd;
	uint64_t size;
	struct error err;
	for (int i = 0; i < PACKERS; i++) {
		struct blob packed = packers[i].pack(text, sizeof(text));
		assert_int_equal(decode(packed.p, packed.n, "/tmp", NULL, &fd, &size, &err),
				 FAILED);
		assert_non_null(strstr(err.text, "no core"));
		free(packed.p);
		packed = packers[i].pack(text, 0);
		assert_int_equal(decode(packed.p, packed.n, "/tmp", NULL, &fd, &size, &err),
				 FAILED);
		assert_non_null(strstr(err.text, "without content"));
		free(packed.p);
	}
	AUTO_ELFW struct elfw w = elfw_program(ET_EXEC, 0x400000, "", "");
	struct blob packed = pack_zstd(w.p, w.size);
	assert_int_equal(decode(packed.p, packed.n, "/tmp", NULL, &fd, &size, &err), FAILED);
	assert_non_null(strstr(err.text, "no core"));
	free(packed.p);
}

static void compression_inside_compression_is_refused(void **state)
{
	(void)state;
	struct blob plain = plain_core();
	struct blob once = pack_lz4(plain.p, plain.n);
	struct blob twice = pack_zstd(once.p, once.n);
	int fd;
	uint64_t size;
	struct error err;
	assert_int_equal(decode(twice.p, twice.n, "/tmp", NULL, &fd, &size, &err), FAILED);
	assert_int_equal(err.code, ERROR_UNSUPPORTED);
	assert_non_null(strstr(err.text, "lz4 data inside zstd data"));
	free(plain.p);
	free(once.p);
	free(twice.p);
}

static void other_compressions_are_named(void **state)
{
	(void)state;
	int fd;
	uint64_t size;
	struct error err;
	assert_int_equal(decode("\x1f\x8b\x08\0\0\0\0\0", 8, "/tmp", NULL, &fd, &size, &err),
			 FAILED);
	assert_non_null(strstr(err.text, "gzip"));
	assert_null(compressed_kind("\177ELF", 4));
	assert_null(compressed_kind("\x28", 1));
}

static void a_folder_that_cannot_be_written_is_named(void **state)
{
	(void)state;
	struct blob plain = plain_core();
	struct blob packed = pack_zstd(plain.p, plain.n);
	int fd;
	uint64_t size;
	struct error err;
	assert_int_equal(decode(packed.p, packed.n, "/nonexistent/folder", NULL, &fd, &size, &err),
			 FAILED);
	assert_int_equal(err.code, ERROR_IO);
	assert_non_null(strstr(err.text, "/nonexistent/folder"));
	free(plain.p);
	free(packed.p);
}

/* 5 GB of one byte in a few hundred KB would fill a disk. */
static void a_bomb_is_refused_before_it_fills_the_disk(void **state)
{
	(void)state;
	enum { CHUNK = 4 << 20 };
	uint8_t *chunk = malloc(CHUNK);
	struct elfw w = elfw_new(ET_CORE, EM_X86_64);
	memset(chunk, 'x', CHUNK);
	memcpy(chunk, &w.header, sizeof(w.header));
	struct blob first = pack_zstd(chunk, CHUNK);
	memset(chunk, 'x', CHUNK);
	struct blob rest = pack_zstd(chunk, CHUNK);
	const size_t count = 1280;
	struct blob all = {malloc(first.n + count * rest.n), first.n + count * rest.n};
	memcpy(all.p, first.p, first.n);
	for (size_t i = 0; i < count; i++)
		memcpy(all.p + first.n + i * rest.n, rest.p, rest.n);
	int fd;
	uint64_t size;
	struct error err;
	assert_int_equal(decode(all.p, all.n, "/tmp", NULL, &fd, &size, &err), FAILED);
	assert_int_equal(err.code, ERROR_LIMIT);
	free(chunk);
	free(first.p);
	free(rest.p);
	free(all.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_round_trip_gives_every_byte_back),
		cmocka_unit_test(several_frames_are_one_core),
		cmocka_unit_test(pages_of_zeros_take_no_room),
		cmocka_unit_test(a_cut_core_is_decoded_as_far_as_it_goes),
		cmocka_unit_test(one_missing_byte_at_the_end_is_noted),
		cmocka_unit_test(damage_in_the_middle_is_noted),
		cmocka_unit_test(a_compressed_file_that_is_no_core_is_refused),
		cmocka_unit_test(compression_inside_compression_is_refused),
		cmocka_unit_test(other_compressions_are_named),
		cmocka_unit_test(a_folder_that_cannot_be_written_is_named),
		cmocka_unit_test(a_bomb_is_refused_before_it_fills_the_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
