// An error that nobody expected, thrown from a worker. A map is in use, but not to blame.
//
// truth: cause=other what="explicit panic" messages="queue: job 7 has no owner" minimum=1.19
package main

import "fmt"

func work(jobs map[int]string, done chan<- bool) {
	for id := 0; id < 10; id++ {
		if jobs[id] == "" {
			panic(fmt.Errorf("queue: job %d has no owner", id))
		}
	}
	done <- true
}

func main() {
	jobs := make(map[int]string)
	for id := 0; id < 7; id++ {
		jobs[id] = "somebody"
	}
	done := make(chan bool)
	go work(jobs, done)
	<-done
}
