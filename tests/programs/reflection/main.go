// A binder fills maps by reflection while another goroutine asks by reflection.
//
// truth: cause=race messages="concurrent map read and map write"|"concurrent map writes"
// truth: map="map[string]interface {}" owner="main.(*form).values" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"reflect"
	"strconv"
	"time"
)

type form struct {
	values map[string]interface{}
}

func bind(target reflect.Value, key string, value interface{}) {
	target.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(value)) // racer: assign
}

func lookup(target reflect.Value, key string) bool {
	return target.MapIndex(reflect.ValueOf(key)).IsValid() // racer: read
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	f := &form{values: make(map[string]interface{})}
	println("map", f.values)
	go func() {
		for i := 0; ; i++ {
			bind(reflect.ValueOf(f.values), "field"+strconv.Itoa(i%100), i)
		}
	}()
	for i := 0; ; i++ {
		lookup(reflect.ValueOf(f.values), "field"+strconv.Itoa(i%100))
	}
}
