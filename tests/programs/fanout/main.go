// One goroutine for each item, each of which writes once and ends.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[string]int" owner="main.collect.results" shape=sparse racers=many minimum=1.19 locking=none
package main

import (
	"os"
	"strconv"
	"sync"
	"time"
)

func fetch(item int) (string, int) {
	name := "item-" + strconv.Itoa(item)
	size := 0
	for i := 0; i < 2000; i++ {
		size = size*31 + int(name[i%len(name)])
	}
	return name, size
}

func collect(items int) map[string]int {
	results := make(map[string]int)
	var wait sync.WaitGroup
	for item := 0; item < items; item++ {
		wait.Add(1)
		go func(item int) {
			defer wait.Done()
			name, size := fetch(item)
			results[name] = size // racer: assign
		}(item)
	}
	wait.Wait()
	return results
}

func main() {
	time.AfterFunc(20*time.Second, func() { os.Exit(0) })
	for {
		collect(100)
	}
}
