// Two watchers reload the same configuration into the same map: json.Unmarshal writes into what is there.
//
// truth: cause=race messages="concurrent map writes"|"concurrent map read and map write"
// truth: map="map[string]string" owner="main.(*config).Options" shape=sparse racers=2 minimum=1.19 locking=none
package main

import (
	"encoding/json"
	"os"
	"time"
)

type config struct {
	Version int
	Options map[string]string
}

var current = &config{Options: make(map[string]string)}

func reload(text []byte) {
	if err := json.Unmarshal(text, current); err != nil { // racer: assign read
		panic(err)
	}
}

func watchFile() {
	for {
		reload([]byte(`{"Version": 2, "Options": {"timeout": "30s", "retries": "5", "region": "eu-1"}}`))
	}
}

func watchRemote() {
	for {
		reload([]byte(`{"Version": 3, "Options": {"timeout": "10s", "backend": "b.example", "retries": "2"}}`))
	}
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	println("map", current.Options)
	go watchFile()
	watchRemote()
}
