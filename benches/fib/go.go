package main

const (
	n     = 27
	calls = 317810 // of fib(27), those with n > 1
)

func fib(n int) int {
	if n < 2 {
		return n
	}
	result := make(chan int, 1)
	go func() { result <- fib(n - 1) }()
	b := fib(n - 2)
	return <-result + b
}

func fibs(count int) {
	for i := 0; i < count; i++ {
		fib(n)
	}
}

func main() {
	runCase(map[string]func() float64{
		"fib_tasks": func() float64 { return eachNs(fibs) / calls },
	})
}
