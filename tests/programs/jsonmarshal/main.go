// A status page marshals the live map; json.Marshal iterates it by reflection.
//
// truth: cause=race messages="concurrent map iteration and map write"|"concurrent map read and map write"
// truth: map="map[string]float64" owner="main.(*status).Load" shape=sparse racers=2 minimum=1.19 locking=none
package main

import (
	"encoding/json"
	"os"
	"strconv"
	"time"
)

type status struct {
	Name string
	Load map[string]float64
}

func (s *status) page() []byte {
	page, err := json.Marshal(s) // racer: iterate read
	if err != nil {
		panic(err)
	}
	return page
}

func (s *status) measure(node int) {
	s.Load["node-"+strconv.Itoa(node%64)] = float64(node) / 3 // racer: assign
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	s := &status{Name: "cluster", Load: make(map[string]float64)}
	println("map", s.Load)
	go func() {
		for node := 0; ; node++ {
			s.measure(node)
		}
	}()
	for {
		s.page()
	}
}
