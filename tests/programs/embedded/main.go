// The map is a field of an embedded struct, promoted through two levels.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[string]int" owner="main.(*base).labels" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

type base struct {
	name   string
	labels map[string]int
}

type component struct {
	kind int
	base
}

type service struct {
	*component
	port int
}

func (b *base) label(key string, value int) {
	b.labels[key] = value // racer: assign
}

func (s *service) unlabel(key string) {
	delete(s.labels, key) // racer: delete
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	s := &service{component: &component{base: base{name: "api", labels: make(map[string]int)}}, port: 443}
	println("map", s.labels)
	keys := []string{"zone", "tier", "team", "env"}
	go func() {
		for i := 0; ; i++ {
			s.label(keys[i%4], i)
		}
	}()
	for i := 0; ; i++ {
		s.unlabel(keys[i%4])
	}
}
