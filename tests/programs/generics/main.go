// A generic cache without a lock: the code of all its instances of one shape is shared.
//
// truth: cause=race messages="concurrent map read and map write"|"concurrent map writes"
// truth: map="map[string]main.price" owner="main.(*Cache[string,main.price]).items" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"strconv"
	"time"
)

type price struct {
	cents    int64
	currency string
}

type Cache[K comparable, V any] struct {
	items map[K]V
	load  func(K) V
}

func NewCache[K comparable, V any](load func(K) V) *Cache[K, V] {
	return &Cache[K, V]{items: make(map[K]V), load: load}
}

func (c *Cache[K, V]) Get(key K) (V, bool) {
	value, ok := c.items[key] // racer: read
	return value, ok
}

func (c *Cache[K, V]) Refresh(key K) {
	c.items[key] = c.load(key) // racer: assign
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	prices := NewCache(func(item string) price { return price{int64(len(item)), "EUR"} })
	println("map", prices.items)
	go func() {
		for i := 0; ; i++ {
			prices.Refresh("item" + strconv.Itoa(i%500))
		}
	}()
	for i := 0; ; i++ {
		prices.Get("item" + strconv.Itoa(i%500))
	}
}
