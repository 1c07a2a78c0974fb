package main

import (
	"io"
	"net/http"
)

func main() {
	panic(http.Serve(listen(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "Hello, World!")
	})))
}
