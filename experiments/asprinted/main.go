// The article's bypass of chapter 4.4 as it is printed there. No version of Go compiles it: there is no
// type hmap outside the runtime.
package main

import (
	"reflect"
	"unsafe"
)

func main() {
	m := make(map[string]int)
	v := reflect.ValueOf(m)
	hmapPtr := (*hmap)(unsafe.Pointer(v.UnsafeAddr()))
	hmapPtr.buckets = unsafe.Pointer(new(struct{}))
}
