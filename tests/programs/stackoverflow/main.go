// A recursion without end; the limit of the stack is set low, so that this takes no gigabyte.
//
// truth: cause=other what="stack overflow" messages="stack overflow" minimum=1.19
package main

import "runtime/debug"

type node struct {
	parent *node
}

func (n *node) depth() int {
	if n == nil {
		return 0
	}
	return n.parent.depth() + 1
}

func main() {
	debug.SetMaxStack(4 << 20)
	n := &node{}
	n.parent = n
	println(n.depth())
}
