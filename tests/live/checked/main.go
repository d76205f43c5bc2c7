// Uses maps of many kinds correctly, and checks what they hold, for as long as it is let live: what a recorder that is
// laid in and taken off meanwhile must not disturb. SIGTERM ends it: "ok" and the number of rounds, and status 0.
//
// Maps are locked, handed over by channel, or a sync.Map; goroutines come and go; stacks grow; faults are recovered; a CPU
// profile is taken.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type point struct{ x, y int32 }

func check(ok bool, what string) {
	if !ok {
		fmt.Println("WRONG:", what)
		os.Exit(1)
	}
}

// own fills and empties maps of its own, of each kind of key that Go has code for, and knows what they hold.
func own(seed int) {
	const size = 300
	ints, narrow := make(map[int]int), make(map[int32]string)
	names, points := make(map[string]int), make(map[point]*int)
	pointers := make(map[*int]int)
	kept := make([]*int, size)
	for i := 0; i < size; i++ {
		kept[i] = new(int)
		*kept[i] = i * seed
		ints[i] = i * seed
		narrow[int32(i)] = strconv.Itoa(i * seed)
		names["name-"+strconv.Itoa(i)] = i * seed
		points[point{int32(i), int32(seed)}] = kept[i]
		pointers[kept[i]] = i
	}
	for i := 0; i < size; i += 3 {
		delete(ints, i)
		delete(names, "name-"+strconv.Itoa(i))
		delete(pointers, kept[i])
	}
	for i := 0; i < size; i++ {
		gone := i%3 == 0
		v, ok := ints[i]
		check(ok != gone && (gone || v == i*seed), "ints")
		v, ok = names["name-"+strconv.Itoa(i)]
		check(ok != gone && (gone || v == i*seed), "names")
		v, ok = pointers[kept[i]]
		check(ok != gone && (gone || v == i), "pointers")
		check(narrow[int32(i)] == strconv.Itoa(i*seed), "narrow")
		check(*points[point{int32(i), int32(seed)}] == i*seed, "points")
	}
	for k := range ints {
		delete(ints, k)
	}
	check(len(ints) == 0, "clear")
}

// deep lets the stack grow with a map write at each level.
func deep(level int, m map[int]int) int {
	m[level] = level
	if level == 0 {
		return 0
	}
	return deep(level-1, m) + 1
}

// faults reads what p points to, and tells whether that cannot be.
func faults(p *point) (did bool) {
	defer func() { did = recover() != nil }()
	return p.x != p.y && p.x == p.y
}

func main() {
	var rounds, stop int64
	var mu sync.Mutex
	var all sync.WaitGroup
	shared, total := make(map[string]int), 0
	var concurrent sync.Map
	worker := func(id int, body func(n int)) {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := 1; atomic.LoadInt64(&stop) == 0; n++ {
				body(id*1000 + n)
				atomic.AddInt64(&rounds, 1)
			}
		}()
	}
	for id := 0; id < 2; id++ {
		worker(id, own)
		worker(id, func(n int) {
			for i := 0; i < 100; i++ {
				mu.Lock()
				shared["key-"+strconv.Itoa((n+i)%50)]++
				total++
				mu.Unlock()
			}
			concurrent.Store(n%100, n)
			if v, ok := concurrent.Load(n % 100); ok {
				check(v.(int)%100 == n%100, "sync.Map")
			}
		})
	}
	worker(9, func(n int) {
		handed := make(chan map[int]int)
		done := make(chan bool)
		for i := 0; i < 4; i++ {
			go func() {
				for m := range handed {
					m[len(m)] = len(m)
					done <- true
				}
			}()
		}
		m := make(map[int]int)
		for i := 0; i < 40; i++ {
			handed <- m
			<-done
		}
		close(handed)
		check(len(m) == 40 && m[39] == 39, "handed over")
		grown := make(map[int]int)
		check(deep(500, grown) == 500 && len(grown) == 501, "deep")
		runtime.GC()
	})
	worker(10, func(n int) {
		for i := 0; i < 20; i++ {
			check(faults(nil), "a fault that is recovered")
		}
	})
	var profile bytes.Buffer
	check(pprof.StartCPUProfile(&profile) == nil, "profile")
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	fmt.Println("ready")
	<-signals
	atomic.StoreInt64(&stop, 1)
	time.AfterFunc(30*time.Second, func() { check(false, "it does not end") })
	all.Wait()
	pprof.StopCPUProfile()
	sum := 0
	for _, v := range shared {
		sum += v
	}
	check(sum == total && total > 0, "shared")
	check(profile.Len() > 0, "no profile")
	fmt.Println("ok", rounds)
}
