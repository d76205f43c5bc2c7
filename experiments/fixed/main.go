// The article's program, mended. usage: fixed mutex|syncmap|owner
package main

import (
	"os"
	"sync"
)

const writers, writes = 2, 1000

// Each write under one lock.
func mutex() int {
	m := make(map[int]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := 0; i < writers; i++ {
		wg.Add(1)
		go func(id int) {
			defer wg.Done()
			for j := 0; j < writes; j++ {
				mu.Lock()
				m[id*writes+j] = j
				mu.Unlock()
			}
		}(i)
	}
	wg.Wait()
	return len(m)
}

// A map made for it.
func syncmap() int {
	var m sync.Map
	var wg sync.WaitGroup
	for i := 0; i < writers; i++ {
		wg.Add(1)
		go func(id int) {
			defer wg.Done()
			for j := 0; j < writes; j++ {
				m.Store(id*writes+j, j)
			}
		}(i)
	}
	wg.Wait()
	n := 0
	m.Range(func(any, any) bool { n++; return true })
	return n
}

// One goroutine owns the map; the others send to it.
func owner() int {
	m := make(map[int]int)
	pairs := make(chan [2]int)
	var wg sync.WaitGroup
	for i := 0; i < writers; i++ {
		wg.Add(1)
		go func(id int) {
			defer wg.Done()
			for j := 0; j < writes; j++ {
				pairs <- [2]int{id*writes + j, j}
			}
		}(i)
	}
	go func() {
		wg.Wait()
		close(pairs)
	}()
	for pair := range pairs {
		m[pair[0]] = pair[1]
	}
	return len(m)
}

func main() {
	how := map[string]func() int{"mutex": mutex, "syncmap": syncmap, "owner": owner}
	if n := how[os.Args[1]](); n != writers*writes {
		println("lost writes:", writers*writes-n)
		os.Exit(1)
	}
}
