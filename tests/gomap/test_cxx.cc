// The header from C++: typed and generic maps, an iteration, a shared map.
#include "gomap.h"

GOMAP_DEFINE_INT(ints, uint64_t, int)
GOMAP_DEFINE_STRING(words, double)
GOMAP_DEFINE(floats, double, int, gomap_hash_f64, gomap_equal_f64,
	     GOMAP_IRREFLEXIVE | GOMAP_KEY_UPDATE)

int main()
{
	ints *m = ints_new(0);
	bool ok = ints_put(m, 1, 2) && ints_put(m, 3, 4);
	int v = 0, sum = 0;
	ok = ok && ints_get(m, 3, &v) && v == 4 && ints_delete(m, 1);
	gomap_iter it;
	const uint64_t *key;
	int *elem;
	gomap_iter_init(&it, ints_map(m));
	while (ints_next(&it, &key, &elem))
		sum += *elem;
	ok = ok && sum == 4;
	ints_free(m);

	words *w = words_new(10);
	gomap_string name = {"pi", 2};
	ok = ok && words_put(w, name, 3.14) && *words_find(w, name) == 3.14;
	words_free(w);

	floats *f = floats_new(0);
	ok = ok && floats_put(f, 0.5, 1) && floats_len(f) == 1;
	floats_free(f);

	gomap_shared *s = gomap_shared_new(&ints_type, 0);
	uint64_t k = 9;
	ok = ok && gomap_shared_put(s, &k, &sum) && gomap_shared_get(s, &k, &v) && v == 4;
	gomap_shared_free(s);
	return ok ? 0 : 1;
}
