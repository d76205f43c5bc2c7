// Login takes the lock, the check of each request does not: "it only reads".
//
// truth: cause=race messages="concurrent map read and map write"|"concurrent map writes"
// truth: map="map[string]*main.session" owner="main.(*sessions).byToken" shape=sparse racers=many minimum=1.19 locking="one side" locks="main.(*sessions).mu"
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"time"
)

type session struct {
	user  string
	since time.Time
}

type sessions struct {
	mu      sync.Mutex
	byToken map[string]*session
}

func token(user string) string {
	sum := sha256.Sum256([]byte(user))
	return hex.EncodeToString(sum[:8])
}

func (s *sessions) login(w http.ResponseWriter, r *http.Request) {
	user := r.FormValue("user")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byToken[token(user)] = &session{user: user, since: time.Now()} // racer: assign
	w.WriteHeader(http.StatusNoContent)
}

func (s *sessions) check(w http.ResponseWriter, r *http.Request) {
	if s.byToken[r.Header.Get("X-Token")] == nil { // racer: read
		w.WriteHeader(http.StatusForbidden)
	}
}

func main() {
	time.AfterFunc(20*time.Second, func() { os.Exit(0) })
	s := &sessions{byToken: make(map[string]*session)}
	println("map", s.byToken)
	mux := http.NewServeMux()
	mux.HandleFunc("/login", s.login)
	mux.HandleFunc("/check", s.check)
	for i := 0; i < 3; i++ {
		go func(client int) {
			for n := 0; ; n++ {
				user := strconv.Itoa(client*1000 + n%1000)
				mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/login?user="+user, nil))
				request := httptest.NewRequest("GET", "/check", nil)
				request.Header.Set("X-Token", token(user))
				mux.ServeHTTP(httptest.NewRecorder(), request)
			}
		}(i)
	}
	select {}
}
