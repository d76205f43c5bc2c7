// Links every map function of Go's runtime that a program of this Go can have; it is read, not run.
package main

import (
	"fmt"
	"os"
	"reflect"
)

type big struct{ a [20]int }

//go:noinline
func all(n int) int {
	a := map[int]int{}
	b := map[string]int{}
	c := map[int32]int{}
	d := map[*int]int{}
	e := map[big]big{}
	f := map[any]string{}
	for i := 0; i < n; i++ {
		a[i]++
		b[fmt.Sprint(i)]++
		c[int32(i)]++
		d[new(int)]++
		e[big{}] = big{}
		f[i] = "x"
	}
	s := a[1] + b["1"] + c[1] + d[nil] + e[big{}].a[0] + len(f[3])
	for k, v := range a {
		s += k + v
	}
	for _, ok := range []bool{has(a, 1), has(b, "1"), has(c, 1), has(d, nil), has(e, big{})} {
		if ok {
			s++
		}
	}
	delete(a, 1)
	delete(b, "1")
	delete(c, 1)
	delete(d, nil)
	delete(e, big{})
	for k := range f {
		delete(f, k)
	}
	v := reflect.ValueOf(b)
	v.SetMapIndex(reflect.ValueOf("q"), reflect.ValueOf(3))
	return s + v.Len() + newer(a)
}

func has[K comparable, V any](m map[K]V, key K) bool {
	_, ok := m[key]
	return ok
}

func main() { fmt.Println(all(len(os.Args) * 10)) }
