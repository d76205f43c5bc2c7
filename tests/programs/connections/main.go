// A server keeps its open connections in a map, and each connection takes itself out when it closes.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[net.Conn]struct {}" owner="main.(*server).open" shape=sparse racers=many minimum=1.19 locking=none
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"time"
)

type server struct {
	open map[net.Conn]struct{}
}

func (s *server) serve(conn net.Conn) {
	s.open[conn] = struct{}{} // racer: assign
	defer s.forget(conn)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil {
		fmt.Fprintf(conn, "you said %s", line)
	}
}

func (s *server) forget(conn net.Conn) {
	delete(s.open, conn) // racer: delete
	conn.Close()
}

func client(address string) {
	for {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		fmt.Fprintln(conn, "hello")
		bufio.NewReader(conn).ReadString('\n')
		// Not one of many sockets in TIME_WAIT: there are only so many ports.
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
}

func main() {
	time.AfterFunc(20*time.Second, func() { os.Exit(0) })
	s := &server{open: make(map[net.Conn]struct{})}
	println("map", s.open)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	for i := 0; i < 4; i++ {
		go client(listener.Addr().String())
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			continue
		}
		go s.serve(conn)
	}
}
