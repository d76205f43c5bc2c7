// Keys are pointers, visited marks of a graph walk.
//
// truth: cause=race messages="concurrent map writes"|"concurrent map read and map write"
// truth: map="map[*main.node]bool" owner="main.(*walk).visited" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

type node struct {
	name string
	next []*node
}

type walk struct {
	visited map[*node]bool
}

func (w *walk) visit(n *node) {
	if w.visited[n] { // racer: read
		return
	}
	w.visited[n] = true // racer: assign
	for _, next := range n.next {
		w.visit(next)
	}
}

func (w *walk) restart(nodes []*node) {
	for _, n := range nodes {
		delete(w.visited, n) // racer: delete
	}
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	w := &walk{visited: make(map[*node]bool)}
	println("map", w.visited)
	nodes := make([]*node, 200)
	for i := range nodes {
		nodes[i] = &node{name: "node"}
	}
	for i := range nodes {
		nodes[i].next = []*node{nodes[(i+1)%200], nodes[(i*7+3)%200]}
	}
	go func() {
		for {
			w.restart(nodes)
		}
	}()
	for {
		w.visit(nodes[0])
	}
}
