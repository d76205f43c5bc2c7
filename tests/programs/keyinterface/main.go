// Keys are interfaces of several dynamic types, as in a context or an event table.
//
// truth: cause=race messages="concurrent map writes"|"concurrent map read and map write"
// truth: map="map[interface {}]interface {}" owner="main.(*values).m" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

type userKey struct{}
type traceKey int

type values struct {
	m map[interface{}]interface{}
}

func (v *values) set(key, value interface{}) {
	v.m[key] = value // racer: assign
}

func (v *values) get(key interface{}) interface{} {
	return v.m[key] // racer: read
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	v := &values{m: make(map[interface{}]interface{})}
	println("map", v.m)
	keys := []interface{}{userKey{}, traceKey(1), traceKey(2), "name", 42, 2.5}
	go func() {
		for i := 0; ; i++ {
			v.set(keys[i%len(keys)], i)
		}
	}()
	for i := 0; ; i++ {
		v.get(keys[i%len(keys)])
	}
}
