//go:build go1.21

// A snapshot by maps.Clone, "so that nobody needs a lock".
//
// truth: cause=race messages="concurrent map clone and map write"|"concurrent map iteration and map write"|"concurrent map writes"
// truth: map="map[string]int" owner="main.(*ledger).balance" shape=sparse racers=2 minimum=1.21 locking=none
package main

import (
	"maps"
	"os"
	"strconv"
	"time"
)

type ledger struct {
	balance map[string]int
}

func (l *ledger) snapshot() map[string]int {
	return maps.Clone(l.balance) // racer: clone
}

func (l *ledger) book(account string, amount int) {
	l.balance[account] += amount // racer: assign
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	l := &ledger{balance: make(map[string]int)}
	println("map", l.balance)
	go func() {
		for i := 0; ; i++ {
			l.book("account-"+strconv.Itoa(i%100), i)
		}
	}()
	for {
		l.snapshot()
	}
}
