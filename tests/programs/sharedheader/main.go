// One http.Header is made for all requests, and each request adds its id to it: a map that nobody sees
// as one, since the write is inside net/textproto.
//
// truth: cause=race messages="concurrent map writes"|"concurrent map iteration and map write"|"concurrent map read and map write"
// truth: map="http.Header"|"textproto.MIMEHeader" owner="main.(*client).header" shape=sparse racers=many minimum=1.19 locking=none
package main

import (
	"net/http"
	"os"
	"strconv"
	"time"
)

type client struct {
	header http.Header
}

func (c *client) prepare(id int) *http.Request {
	request, err := http.NewRequest("GET", "http://127.0.0.1/items/"+strconv.Itoa(id), nil)
	if err != nil {
		panic(err)
	}
	request.Header = c.header
	request.Header.Set("X-Request-Id", strconv.Itoa(id)) // racer: assign
	return request
}

func (c *client) retry(request *http.Request) *http.Request {
	again := new(http.Request)
	*again = *request
	again.Header = request.Header.Clone() // racer: iterate
	return again
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	c := &client{header: http.Header{"Accept": {"application/json"}}}
	println("map", c.header)
	for i := 0; i < 3; i++ {
		go func(first int) {
			for id := first; ; id++ {
				c.retry(c.prepare(id))
			}
		}(i * 1000000)
	}
	select {}
}
