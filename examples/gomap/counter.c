/*
 * Counts the words of its input with several threads on one gomap_shared, and prints the ten most
 * frequent. With --race the threads use a plain gomap without a lock instead: the library says who
 * did what, and aborts.
 *
 *     cc counter.c $(pkg-config --cflags --libs gomap) -pthread -o counter
 *     ./counter <gomap.h
 */
#include <gomap.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, TOP = 10 };

GOMAP_DEFINE_STRING(counts, uint64_t)

static struct gomap_string *words;
static size_t word_count;
static struct gomap_shared *shared;
static struct counts *plain;

static enum gomap_verdict add_one(void *n, bool present, void *arg)
{
	(void)present, (void)arg;
	++*(uint64_t *)n;
	return GOMAP_STORE;
}

static void *count(void *arg)
{
	for (size_t i = (uintptr_t)arg; i < word_count; i += THREADS) {
		uint64_t n;
		if (plain) {
			counts_get(plain, words[i], &n);
			counts_put(plain, words[i], n + 1);
		} else if (!gomap_shared_update(shared, &words[i], add_one, NULL)) {
			perror("counter");
			exit(1);
		}
	}
	return NULL;
}

struct best {
	struct gomap_string word[TOP];
	uint64_t n[TOP];
};

static bool insert(const void *key, const void *elem, void *arg)
{
	struct best *best = arg;
	uint64_t n = *(const uint64_t *)elem;
	int at = TOP;
	while (at > 0 && best->n[at - 1] < n)
		--at;
	if (at == TOP)
		return true;
	memmove(&best->n[at + 1], &best->n[at], (size_t)(TOP - 1 - at) * sizeof(best->n[0]));
	memmove(&best->word[at + 1], &best->word[at],
		(size_t)(TOP - 1 - at) * sizeof(best->word[0]));
	best->n[at] = n;
	best->word[at] = *(const struct gomap_string *)key;
	return true;
}

/* All of stdin, NUL-terminated. */
static char *read_all(void)
{
	size_t n = 0, cap = 1 << 16, got;
	char *text = malloc(cap);
	while (text && (got = fread(text + n, 1, cap - n - 1, stdin)) > 0) {
		n += got;
		if (cap - n < 4096) {
			char *grown = realloc(text, cap *= 2);
			if (!grown)
				free(text);
			text = grown;
		}
	}
	if (text)
		text[n] = '\0';
	return text;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	char *text = read_all();
	words = text ? malloc((strlen(text) / 2 + 1) * sizeof(*words)) : NULL;
	if (!words)
		return 1;
	for (char *w = strtok(text, " \t\n"); w; w = strtok(NULL, " \t\n"))
		words[word_count++] = (struct gomap_string){w, strlen(w)};

	if (argc > 1 && strcmp(argv[1], "--race") == 0)
		plain = counts_new(0);
	shared = gomap_shared_new(&counts_type, 0);
	for (uintptr_t i = 0; i < THREADS; ++i)
		pthread_create(&threads[i], NULL, count, (void *)i);
	for (int i = 0; i < THREADS; ++i)
		pthread_join(threads[i], NULL);

	struct best best = {0};
	gomap_shared_each(shared, insert, &best);
	for (int i = 0; i < TOP && best.n[i]; ++i)
		printf("%8llu %.*s\n", (unsigned long long)best.n[i], (int)best.word[i].len,
		       best.word[i].ptr);
	gomap_shared_free(shared);
	counts_free(plain);
	free(words);
	free(text);
	return 0;
}
