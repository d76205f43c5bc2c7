// Keys are structs with strings inside.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[main.address]int" owner="main.(*table).routes" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

type address struct {
	network string
	host    string
	port    uint16
}

type table struct {
	routes map[address]int
}

func (t *table) add(a address, cost int) {
	t.routes[a] = cost // racer: assign
}

func (t *table) withdraw(a address) {
	delete(t.routes, a) // racer: delete
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	t := &table{routes: make(map[address]int)}
	println("map", t.routes)
	go func() {
		for i := 0; ; i++ {
			t.add(address{"tcp", "db.example", uint16(i % 500)}, i)
		}
	}()
	for i := 0; ; i++ {
		t.withdraw(address{"tcp", "db.example", uint16(i % 500)})
	}
}
