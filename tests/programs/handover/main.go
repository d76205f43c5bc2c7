// A map goes from hand to hand through a channel: many goroutines write it, never two at once.
//
// truth: cause=none map="map[int]int" minimum=1.19
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func player(table chan map[int]int, id int) {
	for ball := range table {
		ball[id]++
		time.Sleep(100 * time.Microsecond)
		table <- ball
	}
}

func main() {
	table := make(chan map[int]int)
	for id := 0; id < 4; id++ {
		go player(table, id)
	}
	ball := make(map[int]int)
	println("map", ball)
	table <- ball
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Println("ready")
	<-stop
}
