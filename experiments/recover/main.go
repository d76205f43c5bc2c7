// The article's program with a recover in each writer: does it get hold of the crash, as it would of a panic?
package main

import "sync"

func main() {
	m := make(map[int]int)
	var wg sync.WaitGroup
	for i := 0; i < 2; i++ {
		wg.Add(1)
		go func(id int) {
			defer wg.Done()
			defer func() {
				if r := recover(); r != nil {
					println("recovered")
				}
			}()
			for j := 0; j < 1000; j++ {
				m[id*1000+j] = j
			}
		}(i)
	}
	wg.Wait()
}
