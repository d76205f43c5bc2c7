// A finished map is published by a plain store, and its reader sees the pointer before the header behind it.
// arm64 may order stores so. amd64 does not: here the word that leads to the entries is stored late by hand. A publisher
// that lost its processor just then is seen beside a map that is not whole: that is as good as a race.
//
// truth: cause="other"|"race" what="published" messages="nil pointer dereference"|"fault" map="map[string]int" minimum=1.19
package main

import (
	"os"
	"strconv"
	"time"
	"unsafe"
)

var prices = load(0)
var spin int

func load(first int) map[string]int {
	m := make(map[string]int)
	for i := first; i < first+100; i++ {
		m["item "+strconv.Itoa(i)] = i
	}
	return m
}

// hmap.buckets and Map.dirPtr both stand at 16.
func publish(m map[string]int) {
	header := *(*unsafe.Pointer)(unsafe.Pointer(&m))
	word := (*unsafe.Pointer)(unsafe.Add(header, 16))
	entries := *word
	*word = nil
	prices = m
	for i := 0; i < 200; i++ { // a tenth of a microsecond or so
		spin += i
	}
	*word = entries
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	go func() {
		for n := 1; ; n++ {
			publish(load(n))
			time.Sleep(10 * time.Microsecond)
		}
	}()
	for {
		_ = prices["item 50"]
	}
}
