// Has goroutines in every state that the scheduler knows, with arguments of every shape, and dies of a
// panic, so that all of their stacks can be held against what Go prints of them. The first argument
// chooses another death: fatal, throw, nil, wild, overflow, nested, quit, abort, csegv
// (in the cgo variant); or wait, to live on.
//
// truth: cause=other what="explicit panic" messages="goroutines: all are there" minimum=1.19
package main

import (
	"net"
	"os"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

var stop atomic.Bool
var sink int64

type pair struct{ a, b int }
type wide struct {
	name string
	list []byte
	any  interface{}
	p    pair
	f    float64
	far  [40]int
}
type shape interface{ area(scale int) int }
type square struct{ side int }
type deepest[T any] struct{ value T }

func (s square) area(scale int) int           { <-blocked; return s.side * scale }
func (d *deepest[T]) wait(other T, n int8) T  { <-blocked; return d.value }
func generic[K comparable, V any](k K, v V) V { <-blocked; return v }

var blocked = make(chan int)
var full = make(chan int)
var nilChan chan int
var mutex sync.Mutex
var rwmutex sync.RWMutex
var cond = sync.NewCond(&sync.Mutex{})
var group sync.WaitGroup

//go:noinline
func many(a int8, b uint16, c bool, d string, e []int, f float32, g complex128, w wide, h error, i *int, j uintptr) int {
	runtime.Gosched()
	<-blocked
	return len(d) + len(e) + int(a) + len(w.name)
}

//go:noinline
func recurse(n int, w wide) int {
	if n == 0 {
		<-blocked
	}
	return recurse(n-1, w) + 1
}

//go:noinline
func small(x int) int {
	if x%3 == 0 {
		return x + 1
	}
	return x - 1
}

// busy never calls the scheduler: only a signal can stop it.
func busy(seed int64) {
	x := seed
	for !stop.Load() {
		for i := int64(0); i < 1000; i++ {
			x = x*6364136223846793005 + i
		}
		atomic.StoreInt64(&sink, x)
	}
}

func busyCalls() {
	x := 1
	for !stop.Load() {
		x = small(x)
	}
	atomic.StoreInt64(&sink, int64(x))
}

// busyClock is mostly in the VDSO, on the system stack.
func busyClock() {
	for !stop.Load() {
		sink += time.Now().UnixNano()
	}
}

// busyMemory is mostly in the runtime, and has the collector at work.
func busyMemory() {
	var keep [64][]byte
	for i := 0; !stop.Load(); i++ {
		keep[i%64] = make([]byte, 32<<10)
	}
	runtime.KeepAlive(keep)
}

func inCall(fd int) {
	var b [8]byte
	syscall.Read(fd, b[:])
}

func inLoopOfCalls() {
	for !stop.Load() {
		syscall.Getpid()
	}
}

func deferred() {
	defer func() {
		recover()
		<-blocked
	}()
	var p *pair
	p.a++
}

func deferredTwice() {
	defer func() {
		defer func() {
			recover()
			<-blocked
		}()
		panic("second")
	}()
	panic("first")
}

func start() {
	n := 7
	w := wide{name: "wide", list: []byte("list"), any: 5, p: pair{1, 2}}
	var s shape = square{3}
	go func() { <-blocked }()
	go func() { full <- 1 }()
	go func() { nilChan <- 1 }()
	go func() { <-nilChan }()
	go func() { select {} }()
	go func() {
		select {
		case <-blocked:
		case full <- 2:
		}
	}()
	mutex.Lock()
	rwmutex.RLock()
	group.Add(1)
	go mutex.Lock()
	go rwmutex.Lock()
	go func() { time.Sleep(20 * time.Millisecond); rwmutex.RLock() }()
	go group.Wait()
	go func() { cond.L.Lock(); cond.Wait() }()
	go time.Sleep(time.Hour)
	go func() { <-time.After(time.Hour) }()
	go func() { runtime.LockOSThread(); <-blocked }()
	go many(-1, 2, true, "four", []int{5}, 6, complex(7, 8), w, os.ErrExist, &n, 11)
	go recurse(10, w)
	go recurse(95, w)
	go recurse(300, w)
	go s.area(4)
	go (&square{5}).area(6)
	go generic("key", pair{1, 2})
	go (&deepest[string]{"x"}).wait("y", -3)
	go reflect.ValueOf(many).Call([]reflect.Value{reflect.ValueOf(int8(1)), reflect.ValueOf(uint16(2)),
		reflect.ValueOf(false), reflect.ValueOf("d"), reflect.ValueOf([]int(nil)), reflect.ValueOf(float32(1)),
		reflect.ValueOf(complex128(1)), reflect.ValueOf(w), reflect.ValueOf(os.ErrExist),
		reflect.ValueOf(&n), reflect.ValueOf(uintptr(9))})
	go reflect.MakeFunc(reflect.TypeOf(func(int) {}), func(args []reflect.Value) []reflect.Value {
		<-blocked
		return nil
	}).Interface().(func(int))(3)
	go reflect.ValueOf(s).MethodByName("String")
	go deferred()
	go deferredTwice()
	runtime.SetFinalizer(&w, nil)
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		go l.Accept()
	}
	var fds [2]int
	if syscall.Pipe(fds[:]) == nil {
		go inCall(fds[0])
	}
	go busy(1)
	go busyCalls()
	go busyClock()
	go busyMemory()
	go inLoopOfCalls()
	for _, f := range more {
		go f()
	}
}

// What the cgo variant adds.
var more []func()
var segvInC func()

func die(how string) {
	switch how {
	case "fatal":
		m := map[int]int{}
		for i := 0; i < 4; i++ {
			go func() {
				for j := 0; ; j++ {
					m[j&1023] = j
				}
			}()
		}
		select {}
	case "throw":
		var m sync.Mutex
		m.Unlock()
	case "nil":
		var p *wide
		p.p.b = 1
	case "wild":
		word := uintptr(0x123)
		f := &word
		(*(*func())(unsafe.Pointer(&f)))()
	case "overflow":
		overflow(1, [16]int{})
	case "nested":
		defer func() {
			var p *pair
			p.b = 2
		}()
		panic("outer")
	case "quit":
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
		select {}
	case "abort":
		syscall.Kill(os.Getpid(), syscall.SIGABRT)
		select {}
	case "wait":
		os.Stdout.WriteString("ready\n")
		select {}
	case "csegv":
		segvInC()
	default:
		panic("goroutines: all are there")
	}
}

func overflow(n int, a [16]int) int {
	a[n&15] = n
	return overflow(n+1, a) + a[(n+1)&15]
}

func main() {
	start()
	time.Sleep(100 * time.Millisecond)
	how := ""
	if len(os.Args) > 1 {
		how = os.Args[1]
	}
	go func() { die(how) }()
	select {}
}
