package http2

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// victimEnv makes this test's binary the origin that attackers ask.
const victimEnv = "HTTP2_VICTIM"

// A victim is that process. Its request for its counters is /counters.
type victim struct {
	addr string
	cmd  *exec.Cmd
}

// counters are of what attackers have under way at the origin.
type counters struct {
	Now     int64
	Peak    int64
	Refused int64 // requests that no gateway should let through
}

func startVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{cmd: exec.Command(os.Args[0])}
	v.cmd.Env = append(os.Environ(), victimEnv+"=1")
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	v.cmd.Stderr = os.Stderr
	out, err := v.cmd.StdoutPipe()
	if err == nil {
		err = v.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.stop)
	if v.addr, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	v.addr = strings.TrimSpace(v.addr)
	return v
}

// stop ends it, and with it all connections to it.
func (v *victim) stop() {
	v.cmd.Process.Kill()
	v.cmd.Wait()
}

// counters asks for them, and begins anew with the peak and with what was refused.
func (v *victim) counters(anew bool) (n counters, err error) {
	url := "http://" + v.addr + "/counters"
	if anew {
		url += "?anew"
	}
	res, err := http.Get(url)
	if err != nil {
		return n, err
	}
	defer res.Body.Close()
	return n, json.NewDecoder(res.Body).Decode(&n)
}

// settles waits until no request of the attackers, who have gone, is there, and
// returns how many remain.
func (v *victim) settles() int64 {
	const patience = 2 * time.Second // /attack/unread notices nothing, and answers
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		n, err := v.counters(false)
		if err != nil || n.Now == 0 || time.Since(began) > patience {
			return n.Now
		}
	}
}

// runVictim serves until the process is ended.
func runVictim() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := io.WriteString(os.Stdout, l.Addr().String()+"\n"); err != nil {
		return err
	}
	return http.Serve(l, new(victimHandler))
}

type victimHandler struct{ now, peak, refused atomic.Int64 }

func (v *victimHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/counters" {
		if r.URL.RawQuery != "" {
			v.peak.Store(v.now.Load())
			v.refused.Store(0)
		}
		json.NewEncoder(w).Encode(counters{v.now.Load(), v.peak.Load(), v.refused.Load()})
		return
	}
	n := v.now.Add(1)
	defer v.now.Add(-1)
	for {
		peak := v.peak.Load()
		if n <= peak || v.peak.CompareAndSwap(peak, n) {
			break
		}
	}
	switch r.URL.Path {
	case "/attack/refused":
		v.refused.Add(1)
	case "/attack/slow":
		select {
		case <-time.After(100 * time.Millisecond):
		case <-r.Context().Done():
		}
	case "/attack/hold":
		<-r.Context().Done()
	case "/attack/unread":
		time.Sleep(300 * time.Millisecond) // net/http does not see the end of a connection behind content
	case "/attack/large":
		io.Copy(w, io.LimitReader(zeros{}, 16<<20))
		return
	case "/attack/body":
		io.Copy(io.Discard, r.Body)
	}
	io.WriteString(w, "good")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
