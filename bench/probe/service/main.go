// A JSON service under load: clients over loopback in the same process, sessions in a map under a lock, decoded and encoded
// maps in each request.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"

	"probe/clock"
)

type store struct {
	mu       sync.Mutex
	sessions map[string]map[string]int
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct {
		User  string
		Items map[string]int
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	session := s.sessions[request.User]
	if session == nil {
		session = make(map[string]int)
		s.sessions[request.User] = session
	}
	for item, n := range request.Items {
		session[item] += n
	}
	answer, err := json.Marshal(session)
	s.mu.Unlock()
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(answer)
}

func main() {
	const clients, each = 4, 250
	server := httptest.NewServer(&store{sessions: make(map[string]map[string]int)})
	clock.Measure(20, clients*each, func() {
		var wg sync.WaitGroup
		for c := 0; c < clients; c++ {
			wg.Add(1)
			go func(c int) {
				defer wg.Done()
				for i := 0; i < each; i++ {
					body := fmt.Sprintf(`{"User":"u%d","Items":{"a":1,"b%d":2,"c":3,"d":4}}`, c*each+i, i%3)
					response, err := http.Post(server.URL, "application/json", bytes.NewBufferString(body))
					if err != nil {
						panic(err)
					}
					if _, err = io.Copy(io.Discard, response.Body); err != nil {
						panic(err)
					}
					response.Body.Close()
				}
			}(c)
		}
		wg.Wait()
	})
}
