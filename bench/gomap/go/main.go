// The rows of rows.h on Go's map: PEER N [ROUNDS]. The name is PEER_NAME of the environment. Time is
// that of the thread, as there: what the collector does on other threads is not counted.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"unsafe"
)

// Nanoseconds of CLOCK_THREAD_CPUTIME_ID.
func now() int64 {
	const threadCPUTime = 3
	var t syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, threadCPUTime, uintptr(unsafe.Pointer(&t)), 0)
	return t.Nano()
}

func key(i uint64) uint64 {
	z := (i + 1) * 0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

func rss() float64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	var size, resident float64
	fmt.Sscan(string(data), &size, &resident)
	return resident * float64(os.Getpagesize())
}

var rows = []string{"insert", "hit", "miss", "iterate", "delete", "memory", "longest"}
var sink uint64

func round(keys []uint64, order []uint32, n int) []float64 {
	runtime.GC()
	debug.FreeOSMemory()
	per := func(from int64) float64 { return float64(now()-from) / float64(n) }
	var ns [7]float64
	before := rss()
	m := make(map[uint64]uint64)
	from := now()
	for i := 0; i < n; i++ {
		m[keys[i]] = uint64(i)
	}
	ns[0] = per(from)
	ns[5] = (rss() - before) / float64(n)
	var sum uint64
	from = now()
	for _, i := range order {
		sum += m[keys[i]]
	}
	ns[1] = per(from)
	from = now()
	for _, i := range order {
		if _, ok := m[keys[n+int(i)]]; ok {
			sum++
		}
	}
	ns[2] = per(from)
	from = now()
	for _, v := range m {
		sum += v
	}
	ns[3] = per(from)
	from = now()
	for i := 0; i < n; i++ {
		delete(m, keys[i])
	}
	ns[4] = per(from)
	sink = sum

	m = make(map[uint64]uint64)
	var longest int64
	last := now()
	for i := 0; i < n; i++ {
		m[keys[i]] = uint64(i)
		t := now()
		if d := t - last; d > longest {
			longest = d
		}
		last = t
	}
	ns[6] = float64(longest)
	return ns[:]
}

func main() {
	runtime.LockOSThread()
	n, _ := strconv.Atoi(os.Args[1])
	rounds := 3
	if len(os.Args) > 2 {
		rounds, _ = strconv.Atoi(os.Args[2])
	}
	keys := make([]uint64, 2*n)
	for i := range keys {
		keys[i] = key(uint64(i))
	}
	order := make([]uint32, n)
	for i := range order {
		order[i] = uint32((key(uint64(i)+1<<40) >> 32) * uint64(n) >> 32)
	}
	var best []float64
	for r := 0; r < rounds; r++ {
		ns := round(keys, order, n)
		if r == 0 {
			best = ns
		}
		for i := range ns {
			if i != 5 && ns[i] < best[i] {
				best[i] = ns[i]
			}
		}
	}
	for i, row := range rows {
		fmt.Printf("%s,%s,%d,%.2f\n", os.Getenv("PEER_NAME"), row, n, best[i])
	}
}
