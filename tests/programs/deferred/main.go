// Each piece of work books its end in a deferred function, also when it panicked.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[string]int64" owner="main.(*journal).ended" shape=sparse racers=2 minimum=1.19 locking=none
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

type journal struct {
	ended map[string]int64
}

func (j *journal) run(name string, step int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: %v", name, r)
		}
		j.ended[name] = int64(step) // racer: assign
	}()
	if step%3 == 0 {
		panic("every third one fails")
	}
	return nil
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	j := &journal{ended: make(map[string]int64)}
	println("map", j.ended)
	for i := 0; i < 2; i++ {
		go func(worker int) {
			for step := 0; ; step++ {
				j.run("job"+strconv.Itoa(worker*100+step%50), step)
			}
		}(i)
	}
	select {}
}
