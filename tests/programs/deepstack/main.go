// A recursive walk memoises below hundreds of frames; the other side writes near its stack's top.
//
// truth: cause=race messages="concurrent map writes"|"concurrent map read and map write"
// truth: map="map[main.point]uint64" owner="main.(*paths).memo" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

type point struct{ x, y int32 }

type paths struct {
	memo map[point]uint64
}

func (p *paths) count(at point) uint64 {
	if at.x == 0 || at.y == 0 {
		return 1
	}
	if n, ok := p.memo[at]; ok { // racer: read
		return n
	}
	n := p.count(point{at.x - 1, at.y}) + p.count(point{at.x, at.y - 1})
	p.memo[at] = n // racer: assign
	return n
}

func (p *paths) forget(size int32) {
	for x := int32(1); x <= size; x++ {
		for y := int32(1); y <= size; y++ {
			delete(p.memo, point{x, y}) // racer: delete
		}
	}
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	p := &paths{memo: make(map[point]uint64)}
	println("map", p.memo)
	go func() {
		for {
			p.forget(300)
		}
	}()
	for {
		p.count(point{300, 300})
	}
}
