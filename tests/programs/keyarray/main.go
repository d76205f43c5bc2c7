// Keys are digests: arrays of 32 bytes.
//
// truth: cause=race messages="concurrent map writes"|"concurrent map read and map write"
// truth: map="map[[32]uint8]uint32" owner="main.(*store).refs" shape=sparse racers=2 minimum=1.19 locking=none
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"time"
)

type store struct {
	refs map[[32]byte]uint32
}

func key(n uint64) [32]byte {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	return sha256.Sum256(b[:])
}

func (s *store) retain(n uint64) {
	s.refs[key(n)]++ // racer: assign
}

func (s *store) release(n uint64) bool {
	digest := key(n)
	if s.refs[digest] > 1 { // racer: read
		return false
	}
	delete(s.refs, digest) // racer: delete
	return true
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	s := &store{refs: make(map[[32]byte]uint32)}
	println("map", s.refs)
	go func() {
		for n := uint64(0); ; n++ {
			s.retain(n % 1000)
		}
	}()
	for n := uint64(0); ; n++ {
		s.release(n % 1000)
	}
}
