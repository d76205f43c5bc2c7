// A server of 100,000 goroutines (or as many as its argument says), 5 to 20 frames deep, parked in all the ways
// that goroutines park, in which two race on a map. Go would print all of them, which takes a minute: standard
// error is closed for that, and only the core is left.
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type request struct {
	id     int
	path   string
	depth  int // frames still to go
	digest uint64
}

type session struct {
	hits  map[string]int
	owner string
}

// The layers of the server: a stack is a walk through these, another one for each id.
var layers []func(r *request, note string) int

func next(r *request, note string) int {
	r.depth--
	r.digest = r.digest*6364136223846793005 + 1442695040888963407
	if r.depth <= 0 {
		return park(r)
	}
	return layers[r.digest>>33%uint64(len(layers))](r, note)
}

func accept(r *request, note string) int    { return next(r, note+"a") + 1 }
func decode(r *request, note string) int    { return next(r, note+"d") + 2 }
func route(r *request, note string) int     { return next(r, r.path) + len(note) }
func authorize(r *request, note string) int { return next(r, note) ^ r.id }

func limit(r *request, note string) int {
	defer func() { r.digest++ }()
	return next(r, note)
}

func retry(r *request, note string) int {
	sum := 0
	for i := 0; i < 3; i++ {
		sum += next(r, note)
	}
	return sum
}

func transform(r *request, note string) int {
	var scratch [96]byte
	copy(scratch[:], note)
	n := next(r, note)
	return n + int(scratch[n&63])
}

func query(r *request, note string) int {
	args := []interface{}{r.id, note, float64(r.depth)}
	return next(r, fmt.Sprint(args[1])) + len(args)
}

type store struct{ name string }

func (s *store) load(r *request, note string) int { return next(r, s.name) + len(note) }
func (s store) save(r *request, note string) int  { return next(r, note) + len(s.name) }

func each[T any](items []T, do func(T) int) (sum int) {
	for _, item := range items {
		sum += do(item)
	}
	return sum
}

func batch(r *request, note string) int {
	return each([]string{note}, func(s string) int { return next(r, s) })
}

var (
	parked   int64
	never    = make(chan int)
	full     = make(chan int)
	lock     sync.Mutex
	shared   sync.RWMutex
	wait     sync.WaitGroup
	condLock sync.Mutex
	cond     = sync.NewCond(&condLock)
	pipes    []net.Conn
)

func park(r *request) int {
	atomic.AddInt64(&parked, 1)
	switch r.id % 10 {
	case 0:
		return <-never
	case 1:
		full <- r.id
	case 2:
		select {
		case n := <-never:
			return n
		case full <- r.id:
		case <-time.After(24 * time.Hour):
		}
	case 3:
		lock.Lock()
	case 4:
		shared.RLock()
	case 5:
		wait.Wait()
	case 6:
		condLock.Lock()
		cond.Wait()
		condLock.Unlock()
	case 7:
		time.Sleep(24 * time.Hour)
	case 8:
		var b [1]byte
		pipes[r.id/10%len(pipes)].Read(b[:])
	case 9:
		var nothing chan int
		nothing <- 1
	}
	return r.id
}

func (s *session) count(key string, n int) {
	s.hits[key] += n
}

func label(worker, n int) string {
	return "worker-" + strconv.Itoa(worker) + "/" + strconv.Itoa(n%1000)
}

func serve(s *session, worker int) {
	for n := 0; ; n++ {
		s.count(label(worker, n), n)
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	n := 100000
	if len(os.Args) > 1 {
		var err error
		n, err = strconv.Atoi(os.Args[1])
		check(err)
	}
	disk := &store{"disk"}
	layers = []func(*request, string) int{accept, decode, route, authorize, limit, retry, transform, query, batch,
		disk.load, disk.save}
	lock.Lock()
	shared.Lock()
	wait.Add(1)
	for i := 0; i < 64; i++ {
		ours, _ := net.Pipe()
		pipes = append(pipes, ours)
	}
	for id := 0; id < n; id++ {
		// A level is two frames, next and a layer, or four in batch; the ends take 3 to 6 more.
		r := &request{id: id, path: "/items/" + strconv.Itoa(id), depth: 1 + id/10%6}
		r.digest = uint64(id) * 0x9e3779b97f4a7c15
		go next(r, "")
	}
	for atomic.LoadInt64(&parked) < int64(n) {
		time.Sleep(10 * time.Millisecond)
	}
	runtime.GC()
	debug.SetTraceback("crash")
	check(syscall.Close(2))

	s := &session{hits: make(map[string]int), owner: "everybody"}
	go serve(s, 1)
	serve(s, 2)
}
