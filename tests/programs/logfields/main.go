// A logger prints the fields of a request while the request still adds to them: fmt walks the map by reflection.
//
// truth: cause=race messages="concurrent map iteration and map write"|"concurrent map read and map write"
// truth: map="main.fields" owner="main.(*request).fields" shape=sparse racers=2 minimum=1.19 locking=none
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

type fields map[string]interface{}

type request struct {
	id     int
	fields fields
}

func (r *request) with(key string, value interface{}) {
	r.fields[key] = value // racer: assign
}

func (r *request) log(w io.Writer) {
	fmt.Fprintln(w, "request", r.id, r.fields) // racer: iterate
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	r := &request{id: 7, fields: make(fields)}
	println("map", r.fields)
	go func() {
		for i := 0; ; i++ {
			r.with("step"+strconv.Itoa(i%30), i)
		}
	}()
	for {
		r.log(io.Discard)
	}
}
