// Writes to package variables and to a shared object in every way that code can. Behind each line stands
// how it writes, and to what.
package main

import (
	"os"
	"sync/atomic"
)

type account struct {
	name  [3]string
	value int64
}

var counter, total int64
var word uint32
var table [16]int64
var pair struct{ first, second int64 }

//go:noinline
func set(n int64) {
	counter = n // store counter
}

//go:noinline
func count() {
	counter++ // modify counter
}

//go:noinline
func add(n int64) {
	atomic.AddInt64(&total, n) // modify atomic total
}

//go:noinline
func swap(n int64) int64 {
	return atomic.SwapInt64(&total, n) // exchange atomic total
}

//go:noinline
func compare(n int64) bool {
	return atomic.CompareAndSwapInt64(&total, n, n+1) // exchange atomic total
}

//go:noinline
func element(i int, n int64) {
	table[i&15] = n // store maybe table
}

//go:noinline
func field(n int64) {
	pair.second = n // store pair.second
}

//go:noinline
func narrow(n uint8) {
	word = uint32(n) // store word
}

//go:noinline
func write(p *int64) {
	*p = 3
}

//go:noinline
func hand() {
	write(&counter) // passes on counter
}

//go:noinline
func through(a *account, gate chan int64) {
	n := <-gate
	a.value += n                 // modify held
	atomic.AddInt64(&a.value, n) // modify atomic held
	n += <-gate
	atomic.SwapInt64(&a.value, n) // exchange atomic held
	a.name[1] = "x"
	a.value = n // store held
}

func main() {
	gate := make(chan int64)
	ready := make(chan bool)
	a := &account{}
	println("held", &a.value)
	println("counter", &counter)
	println("total", &total)
	println("word", &word)
	println("table", &table[5])
	println("pair.second", &pair.second)
	go func() {
		ready <- true
		through(a, gate)
	}()
	<-ready
	n := int64(len(os.Args))
	set(n)
	count()
	add(n)
	swap(n)
	compare(n)
	element(int(n), n)
	field(n)
	narrow(uint8(n))
	hand()
	gate <- 1
	for counter != 0 {
		println(counter + total + int64(word) + table[n] + pair.first + a.value)
		panic("enough")
	}
}
