package health

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// originVariable makes the test binary an origin: what checks cost shall be measured
// without what answers them.
const originVariable = "LONGMEN_HEALTH_TEST_ORIGIN"

func TestMain(m *testing.M) {
	if os.Getenv(originVariable) == "" {
		os.Exit(m.Run())
	}
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		io.Copy(io.Discard, os.Stdin) // until the parent ends
		os.Exit(0)
	}()
	http.Serve(listener, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

// manyOrigins starts an origin that answers at every address of 127.0.0.0/8, and
// returns its port.
func manyOrigins(b *testing.B) string {
	b.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), originVariable+"=1", "GOMAXPROCS=1")
	in, err := command.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); command.Wait() })
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(port)
}

func cpu() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// BenchmarkTenThousandEndpoints checks 10,000 endpoints each 5 s over HTTP and TCP, and prints what
// that takes of a processor, of memory, and what the change of one endpoint costs.
func BenchmarkTenThousandEndpoints(b *testing.B) {
	port := manyOrigins(b)
	for _, kind := range []struct {
		name   string
		config Config
	}{
		{"http", Config{HTTP: &HTTP{}, Every: 5 * time.Second, Timeout: 2 * time.Second}},
		{"http, reuse", Config{HTTP: &HTTP{}, Every: 5 * time.Second, Timeout: 2 * time.Second, Reuse: true}},
		{"tcp", Config{TCP: &TCP{}, Every: 5 * time.Second, Timeout: 2 * time.Second}},
	} {
		b.Run(kind.name, func(b *testing.B) {
			for b.Loop() {
				many(b, &kind.config, port)
			}
		})
	}
}

func many(b *testing.B, config *Config, port string) {
	const endpoints, seconds = 10_000, 6
	s := NewScheduler(0)
	g := s.Group(&net.Dialer{KeepAlive: -1})
	var up, down atomic.Int64
	report := func(e Event) {
		if e.New == Up {
			up.Add(1)
		} else {
			down.Add(1)
		}
	}
	before := memory()
	began := time.Now()
	checks := make([]*Check, endpoints)
	for i := range checks {
		address := fmt.Sprintf("127.%d.%d.%d:%s", 1+i>>16, i>>8&255, i&255, port)
		checks[i] = g.Add(Target{Config: config, Address: func() string { return address }, Report: report})
	}
	b.ReportMetric(float64(time.Since(began).Nanoseconds())/endpoints, "ns/add")
	for up.Load()+down.Load() < endpoints {
		time.Sleep(10 * time.Millisecond)
	}
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-to-first-of-all")

	from, used, most := g.Stats().Attempts, cpu(), 0
	for range seconds * 20 {
		time.Sleep(time.Second / 20)
		most = max(most, runtime.NumGoroutine())
	}
	n := g.Stats().Attempts - from
	spent := cpu() - used
	b.ReportMetric(float64(spent.Milliseconds())/seconds, "cpu-ms/s")
	b.ReportMetric(float64(n)/seconds, "checks/s")
	b.ReportMetric(float64(spent.Microseconds())/float64(n), "cpu-µs/check")
	b.ReportMetric(float64(most), "goroutines")
	b.ReportMetric(float64(memory()-before)/endpoints, "B/endpoint")
	b.ReportMetric(float64(down.Load()), "failed")

	began = time.Now()
	for _, c := range checks {
		c.Remove()
	}
	b.ReportMetric(float64(time.Since(began).Nanoseconds())/endpoints, "ns/remove")
	g.Close()
	s.Close()
}
