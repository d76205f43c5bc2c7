// A lookup in a healthy map gives nil for what is not there, and the result is used.
//
// truth: cause=other what="nil dereference" messages="invalid memory address or nil pointer dereference" minimum=1.19
package main

type user struct {
	id   int
	name string
}

var users = map[int]*user{1: {1, "first"}}

func greet(id int) string {
	return "hello " + users[id].name
}

func main() {
	println(greet(1))
	println(greet(2))
}
