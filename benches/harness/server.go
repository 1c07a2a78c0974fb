// For the servers written in Go: PROGRAM HOST:PORT WORKERS. Built together with the subjects that name it.

package main

import (
	"net"
	"os"
	"runtime"
	"strconv"
)

// listen listens where the arguments say, with GOMAXPROCS set to the number of workers.
func listen() net.Listener {
	workers, _ := strconv.Atoi(os.Args[2])
	runtime.GOMAXPROCS(workers)
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	return listener
}
