// Four workers hash for tens of microseconds and then write one result: by the time the second one dies,
// the first is deep in its next piece of work.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[int][32]uint8" owner="main.(*batch).results" shape=sparse racers=many minimum=1.19 locking=none
package main

import (
	"crypto/sha256"
	"os"
	"time"
)

type batch struct {
	jobs    chan int
	results map[int][32]byte
}

func digest(job int) [32]byte {
	sum := [32]byte{byte(job)}
	for i := 0; i < 50; i++ {
		sum = sha256.Sum256(sum[:])
	}
	return sum
}

func (b *batch) work() {
	for job := range b.jobs {
		sum := digest(job)
		b.results[job%10000] = sum // racer: assign
	}
}

func main() {
	time.AfterFunc(20*time.Second, func() { os.Exit(0) })
	b := &batch{jobs: make(chan int, 64), results: make(map[int][32]byte)}
	println("map", b.results)
	for i := 0; i < 4; i++ {
		go b.work()
	}
	for job := 0; ; job++ {
		b.jobs <- job
	}
}
