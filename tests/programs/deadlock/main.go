// Two goroutines take two locks in different orders, and main waits for both.
//
// truth: cause=other what="deadlock" messages="all goroutines are asleep - deadlock!" minimum=1.19
package main

import "sync"

func transfer(from, to *sync.Mutex, taken, go2 chan bool, wait *sync.WaitGroup) {
	defer wait.Done()
	from.Lock()
	taken <- true
	<-go2
	to.Lock()
}

func main() {
	var a, b sync.Mutex
	var wait sync.WaitGroup
	taken, go2 := make(chan bool), make(chan bool)
	wait.Add(2)
	go transfer(&a, &b, taken, go2, &wait)
	go transfer(&b, &a, taken, go2, &wait)
	<-taken
	<-taken
	close(go2)
	wait.Wait()
}
