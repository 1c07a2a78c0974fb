package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

func look() {
	fmt.Println("look")
	os.Stdin.Read(make([]byte, 1))
}

func main() {
	if len(os.Args) != 3 {
		os.Exit(2)
	}
	tasks, _ := strconv.Atoi(os.Args[2])
	toTheEnd := os.Args[1] == "given_back"
	look()
	length := time.Hour
	if toTheEnd {
		length = time.Second
	}
	var asleep, finished sync.WaitGroup
	asleep.Add(tasks)
	finished.Add(tasks)
	for i := 0; i < tasks; i++ {
		go func() {
			asleep.Done()
			time.Sleep(length)
			finished.Done()
		}()
	}
	asleep.Wait()
	if toTheEnd {
		finished.Wait()
		time.Sleep(time.Second)
	}
	look()
}
