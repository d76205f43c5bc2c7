// A graph as a map of maps: edges are added from both ends, so that two goroutines meet in one inner map.
//
// truth: cause=race messages="concurrent map writes"|"concurrent map read and map write"
// truth: map="map[int]struct {}" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

type graph struct {
	edges map[int]map[int]struct{}
}

func (g *graph) connect(from, to int) {
	g.edges[from][to] = struct{}{} // racer: assign
}

func (g *graph) connected(from, to int) bool {
	_, ok := g.edges[from][to] // racer: read
	return ok
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	g := &graph{edges: make(map[int]map[int]struct{})}
	for node := 0; node < 4; node++ {
		g.edges[node] = make(map[int]struct{})
		println("map", g.edges[node])
	}
	go func() {
		for i := 0; ; i++ {
			g.connect(i%4, i%997)
		}
	}()
	for i := 0; ; i++ {
		if !g.connected(i%4, i%991) {
			g.connect(i%4, i%991)
		}
	}
}
