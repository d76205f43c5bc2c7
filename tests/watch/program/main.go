// A program whose map is watched, and which knows itself who wrote it, where and in which order.
//
// It prints the address of the map and waits for a line on its standard input. Then, by its first argument:
// int, string, struct: it writes a map with such keys in many goroutines, and prints each write. They end at once,
// but for those of int, which stay until another line comes;
// race: two goroutines write the map without a lock, until Go ends it;
// locked: two goroutines write the map under a lock, until SIGTERM.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"unsafe"
)

type point struct{ x, y, z int }

// One write, as the program itself sees it.
type write struct {
	goroutine uint64
	operation string
	line      int
}

var writes []write

var input = bufio.NewReader(os.Stdin)

func goroutine() uint64 {
	var buf [64]byte
	stack := bytes.Fields(buf[:runtime.Stack(buf[:], false)])
	id, _ := strconv.ParseUint(string(stack[1]), 10, 64)
	return id
}

// The next line of its caller is an operation on the map.
func next(operation string) {
	_, _, line, _ := runtime.Caller(1)
	writes = append(writes, write{goroutine(), operation, line + 1})
}

func ready(m unsafe.Pointer) {
	fmt.Printf("map %p\n", m)
	input.ReadString('\n')
}

// Runs each step in a goroutine of its own, one after the other. They end when end is closed.
func run(end chan struct{}, steps ...func()) {
	for i := 0; i < 20; i++ {
		for _, step := range steps {
			var done sync.WaitGroup
			done.Add(1)
			go func(step func()) {
				step()
				done.Done()
				<-end
			}(step)
			done.Wait()
		}
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func ints() {
	m := make(map[int]int)
	ready(*(*unsafe.Pointer)(unsafe.Pointer(&m)))
	run(make(chan struct{}), func() {
		for i := 0; i < 20; i++ {
			next("assign")
			m[i*len(writes)]++
		}
	}, func() {
		next("delete")
		delete(m, 0)
	}, func() {
		next("assign")
		reflect.ValueOf(m).SetMapIndex(reflect.ValueOf(7), reflect.ValueOf(8))
	}, func() {
		next("iterate")
		for k := range m {
			if k < 0 {
				panic("a key that nobody wrote")
			}
		}
	})
	fmt.Println("done")
	input.ReadString('\n')
}

func strings() {
	m := make(map[string]int)
	ready(*(*unsafe.Pointer)(unsafe.Pointer(&m)))
	run(closed(), func() {
		next("assign")
		m[strconv.Itoa(len(writes))]++
		next("assign")
		m["one"] = 1
	}, func() {
		next("delete")
		delete(m, "one")
	})
	next("clear")
	for k := range m {
		delete(m, k)
	}
}

func structs() {
	m := make(map[point]string)
	ready(*(*unsafe.Pointer)(unsafe.Pointer(&m)))
	run(closed(), func() {
		next("assign")
		m[point{len(writes), 2, 3}] = "new"
		next("assign")
		m[point{1, 2, 3}] = "old"
	}, func() {
		next("delete")
		delete(m, point{1, 2, 3})
	})
}

func race(lock sync.Locker) {
	m := make(map[int]int)
	ready(*(*unsafe.Pointer)(unsafe.Pointer(&m)))
	for g := 0; g < 2; g++ {
		go func(first int) {
			for i := 0; ; i++ {
				lock.Lock()
				m[first+i%1000] = i
				lock.Unlock()
			}
		}(g * 1000)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
}

type noLock struct{}

func (noLock) Lock()   {}
func (noLock) Unlock() {}

func main() {
	switch os.Args[1] {
	case "int":
		ints()
	case "string":
		strings()
	case "struct":
		structs()
	case "race":
		race(noLock{})
	case "locked":
		race(new(sync.Mutex))
	}
	for _, w := range writes {
		fmt.Println(w.goroutine, w.operation, w.line)
	}
}
