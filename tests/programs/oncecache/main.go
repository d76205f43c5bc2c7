// sync.Once makes the map once; what fills it afterwards runs as often as it likes.
//
// truth: cause=race messages="concurrent map writes"|"concurrent map read and map write"
// truth: map="map[string]*regexp.Regexp" owner="main.compiled" shape=sparse racers=many minimum=1.19 locking=none
package main

import (
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"
)

var (
	once     sync.Once
	compiled map[string]*regexp.Regexp
)

func pattern(text string) *regexp.Regexp {
	once.Do(func() {
		compiled = make(map[string]*regexp.Regexp)
		println("map", compiled)
	})
	if found := compiled[text]; found != nil { // racer: read
		return found
	}
	found := regexp.MustCompile(text)
	compiled[text] = found // racer: assign
	return found
}

func main() {
	time.AfterFunc(20*time.Second, func() { os.Exit(0) })
	for i := 0; i < 4; i++ {
		go func(first int) {
			for n := first; ; n++ {
				pattern("^item" + strconv.Itoa(n) + "$").MatchString("item7")
			}
		}(i << 20)
	}
	select {}
}
