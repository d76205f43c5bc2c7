// The configuration is published through an atomic value, then changed in place instead of being replaced.
//
// truth: cause=race messages="concurrent map read and map write"
// truth: map="map[string]string" shape=sparse racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

var config atomic.Value

func set(key, value string) {
	config.Load().(map[string]string)[key] = value // racer: assign
}

func get(key string) string {
	return config.Load().(map[string]string)[key] // racer: read
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	first := map[string]string{"mode": "fast"}
	println("map", first)
	config.Store(first)
	go func() {
		for i := 0; ; i++ {
			set("option"+strconv.Itoa(i%20), "on")
		}
	}()
	for i := 0; ; i++ {
		get("option" + strconv.Itoa(i%20))
	}
}
