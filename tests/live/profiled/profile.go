//go:build profile

// Leaves a profile of map clears:
//
//	go build -tags profile -pgo=off -trimpath -o /tmp/profiled . && /tmp/profiled default.pgo
package main

import (
	"os"
	"runtime/pprof"
)

func init() {
	f, err := os.Create(os.Args[1])
	if err != nil {
		panic(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		panic(err)
	}
	for i := 0; i < 30e6; i++ { // a second or so of processor time: a hundred samples
		m["key"] = i
		wipe()
	}
	pprof.StopCPUProfile()
	os.Exit(0)
}
