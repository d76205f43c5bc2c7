// Publishing walks the subscribers while one of them leaves and comes back.
//
// truth: cause=race messages="concurrent map iteration and map write"|"concurrent map writes"
// truth: map="map[int]chan string" owner="main.(*bus).subscribers" shape=sparse racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

type bus struct {
	subscribers map[int]chan string
}

func (b *bus) subscribe(id int) {
	b.subscribers[id] = make(chan string, 16) // racer: assign
}

func (b *bus) unsubscribe(id int) {
	delete(b.subscribers, id) // racer: delete
}

func (b *bus) publish(message string) {
	for _, subscriber := range b.subscribers { // racer: iterate
		select {
		case subscriber <- message:
		default:
		}
	}
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	b := &bus{subscribers: make(map[int]chan string)}
	for id := 0; id < 20; id++ {
		b.subscribe(id)
	}
	println("map", b.subscribers)
	go func() {
		for id := 0; ; id++ {
			b.unsubscribe(id % 40)
			b.subscribe(id % 40)
		}
	}()
	for {
		b.publish("tick")
	}
}
