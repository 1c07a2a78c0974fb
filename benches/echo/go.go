package main

import (
	"net"
	"os"
	"time"
)

func echo(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err := connection.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// burn computes in bursts, for benches/stall.
func burn() {
	for {
		for start := time.Now(); time.Since(start) < time.Second; {
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func main() {
	listener := listen()
	if len(os.Args) > 3 && os.Args[3] == "burn" {
		go burn()
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go echo(connection)
	}
}
