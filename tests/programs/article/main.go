// The program of the article that the project answers, unchanged but for the comments.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[int]int" owner="main.main.m" minimum=1.19 locking=none
package main

import (
	"sync"
)

func main() {
	m := make(map[int]int)
	var wg sync.WaitGroup
	for i := 0; i < 2; i++ {
		wg.Add(1)
		go func(id int) {
			defer wg.Done()
			for j := 0; j < 1000; j++ {
				m[id*1000+j] = j // racer: assign
			}
		}(i)
	}
	wg.Wait()
}
