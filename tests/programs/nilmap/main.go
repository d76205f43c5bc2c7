// A map that was declared and never made.
//
// truth: cause=other what="nil map write" messages="assignment to entry in nil map" minimum=1.19
package main

type index struct {
	words map[string][]int
}

func (x *index) add(word string, page int) {
	x.words[word] = append(x.words[word], page)
}

func main() {
	x := &index{}
	x.add("map", 1)
}
