// Writes maps in every way that code can. What is written where stands behind each line that does.
package main

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
)

type header map[string][]string

type cache struct {
	items map[string]int
}

//go:noinline
func (c *cache) set(key string, value int) {
	c.items[key] = value // writes: assign map[string]int
}

func (c *cache) drop(key string) {
	delete(c.items, key) // writes: delete map[string]int
}

type set[T comparable] map[T]struct{}

//go:noinline
func (s set[T]) add(t T) {
	s[t] = struct{}{} // writes: assign main.set[string], assign main.set[int32], assign main.set[main.point]
}

type point struct{ x, y int32 }

type table[K comparable, V any] struct {
	rows map[K]V
	hits map[K]int
}

//go:noinline
func (t *table[K, V]) put(k K, v V) {
	t.rows[k] = v // writes: assign map[string]float64, assign map[int64]main.point
	t.count(k)
}

//go:noinline
func (t *table[K, V]) count(k K) {
	t.hits[k]++ // writes: assign map[string]int, assign map[int64]int
}

//go:noinline
func (t *table[K, V]) later(k K) func() {
	return func() {
		delete(t.hits, k) // writes: delete map[string]int, delete map[int64]int
	}
}

//go:noinline
func fill[M ~map[K]V, K comparable, V any](m M, k K, v V) {
	m[k] = v // writes: assign main.header, assign map[int64]bool
}

type putter interface{ put(string, float64) }

//go:noinline
func clear8(m map[uint8]string) {
	for k := range m { // writes: clear map[uint8]string
		delete(m, k)
	}
}

//go:noinline
func large(m map[[40]int]point, k [40]int) {
	m[k] = point{1, 2} // writes: assign map[[40]int]main.point
}

//go:noinline
func pointers(m map[*cache]int, k *cache) {
	m[k]++ // writes: assign map[*main.cache]int
}

//go:noinline
func reflected(m reflect.Value, k string) {
	m.SetMapIndex(reflect.ValueOf(k), reflect.ValueOf(1)) // writes: by reflection
}

func main() {
	c := &cache{map[string]int{}}
	name := "k" + strconv.Itoa(len(os.Args))
	c.set(name, 1)
	c.drop(name)
	strings, numbers, points := set[string]{}, set[int32]{}, set[point]{}
	strings.add(name)
	numbers.add(3)
	points.add(point{1, 2})
	t := &table[string, float64]{map[string]float64{}, map[string]int{}}
	u := &table[int64, point]{map[int64]point{}, map[int64]int{}}
	var p putter = t
	p.put(name, 1)
	u.put(4, point{})
	t.later(name)()
	u.later(4)()
	h := header{}
	fill(h, name, []string{name})
	flags := map[int64]bool{}
	fill(flags, 5, true)
	bytes := map[uint8]string{1: name} // writes: assign map[uint8]string
	clear8(bytes)
	big := map[[40]int]point{}
	large(big, [40]int{1})
	caches := map[*cache]int{}
	pointers(caches, c)
	reflected(reflect.ValueOf(c.items), name)
	fmt.Println(c, strings, numbers, points, t.rows, t.hits, u, h, flags, bytes, big, caches)
}
