//go:build go1.23

// Keys are collected through an iterator function: the loop over the map is in a closure of package maps.
//
// truth: cause=race messages="concurrent map iteration and map write"
// truth: map="map[string]int" owner="main.(*catalogue).stock" shape=sparse racers=2 minimum=1.23 locking=none
package main

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"time"
)

type catalogue struct {
	stock map[string]int
}

func (c *catalogue) names() []string {
	return slices.Sorted(maps.Keys(c.stock)) // racer: iterate
}

func (c *catalogue) sell(name string) {
	c.stock[name]-- // racer: assign
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	c := &catalogue{stock: make(map[string]int)}
	println("map", c.stock)
	go func() {
		for i := 0; ; i++ {
			c.sell("item" + strconv.Itoa(i%50))
		}
	}()
	for {
		c.names()
	}
}
