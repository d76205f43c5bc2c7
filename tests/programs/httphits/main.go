// A handler counts hits per path in a field of the server. net/http serves each connection in a
// goroutine of its own, which is easy to forget where no go statement is in sight.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[string]int" owner="main.(*server).hits" shape=sparse racers=many minimum=1.19 locking=none
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

type server struct {
	hits map[string]int
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.hits[r.URL.Path]++ // racer: assign
	fmt.Fprintf(w, "you asked for %s\n", r.URL.Path)
}

func client(url string) {
	transport := &http.Transport{}
	for i := 0; ; i++ {
		response, err := (&http.Client{Transport: transport}).Get(fmt.Sprintf("%s/page/%d", url, i%200))
		if err != nil {
			continue
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}

func main() {
	time.AfterFunc(20*time.Second, func() { os.Exit(0) })
	s := &server{hits: make(map[string]int)}
	println("map", s.hits)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	for i := 0; i < 4; i++ {
		go client("http://" + listener.Addr().String())
	}
	http.Serve(listener, s)
}
