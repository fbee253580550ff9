package fault

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"longmen/conformance/harness"
)

// A shape is a response, and where its parts end.
type shape struct {
	name   string
	bytes  string
	head   int  // bytes of the head, 1xx ones before it included
	closes bool // its end is the connection's
}

func shapes() []shape {
	length := "HTTP/1.1 200 OK\r\nX-Shape: length\r\nContent-Length: 20\r\n\r\n"
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	plain := "HTTP/1.1 200 OK\r\nX-Shape: close\r\n\r\n"
	hints := "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + length
	return []shape{
		{"length", length + "01234567890123456789", len(length), false},
		{"chunked", chunked + "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nX-Trailer: t\r\n\r\n", len(chunked), false},
		{"close", plain + "0123456789", len(plain), true},
		{"hints", hints + "01234567890123456789", len(hints), false},
	}
}

// offsets are where a response is broken: everywhere in the full run, else at
// every seventh byte and around each border.
func (s shape) offsets() []int {
	var ks []int
	for k := 0; k <= len(s.bytes); k++ {
		if k%every(1, 7) == 0 || k == len(s.bytes) || k >= s.head-2 && k <= s.head+1 || k == len(s.bytes)-1 {
			ks = append(ks, k)
		}
	}
	return ks
}

// cuts ends the connection, in order and by a reset, after every byte.
func cuts() *group {
	g := &group{name: "cut"}
	for _, s := range shapes() {
		for _, k := range s.offsets() {
			part := []byte(s.bytes[:k])
			fin := trial{
				name:     fmt.Sprintf("%s-fin-%03d", s.name, k),
				script:   func(x *harness.Exchange) { x.ReadBody(); x.Write(part); x.Close() },
				statuses: []int{502}, once: true,
			}
			rst := fin
			rst.name = fmt.Sprintf("%s-reset-%03d", s.name, k)
			rst.script = func(x *harness.Exchange) { x.ReadBody(); x.Write(part); x.Reset() }
			ended := []string{"UC", "UR"}
			switch {
			case k < s.head:
				fin.outcomes, fin.flags, fin.phases = refused, ended, []string{"response-head"}
			case k == len(s.bytes), s.closes:
				fin.outcomes, fin.flags = complete, []string{""}
			default:
				// A proxy that has not passed the head on yet may still refuse.
				fin.outcomes, fin.flags, fin.phases = truncated|refused, ended, []string{"response-body"}
			}
			// A reset may overtake what was sent before it.
			rst.outcomes, rst.flags = refused, ended
			if k >= s.head {
				rst.outcomes |= truncated
			}
			if k == len(s.bytes) && !s.closes {
				rst.outcomes |= complete
				rst.flags = append(rst.flags, "")
			}
			g.add(fin)
			g.add(rst)
		}
	}
	body := fmt.Sprintf("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", 1000, strings.Repeat("b", 1000))
	for _, end := range []string{"fin", "reset"} {
		g.add(trial{
			name: "post-" + end, request: body, outcomes: refused, statuses: []int{502}, once: true,
			flags: []string{"UC", "UR"},
			script: func(x *harness.Exchange) {
				x.ReadBody()
				if end == "fin" {
					x.Close()
				} else {
					x.Reset()
				}
			},
		})
	}
	return g
}

// garbage puts bytes that are no HTTP at every offset of the response.
func garbage() *group {
	g := &group{name: "garbage"}
	const junk = "\x00\x01\xfe garbage\r\n\r\n"
	for _, s := range shapes() {
		for _, k := range s.offsets() {
			if k >= s.head && s.name != "chunked" {
				break // what is in a body is not judged
			}
			part := []byte(s.bytes[:k] + junk)
			tr := trial{
				name:     fmt.Sprintf("%s-%03d", s.name, k),
				script:   func(x *harness.Exchange) { x.ReadBody(); x.Write(part); x.CloseWrite(); x.Hold() },
				statuses: []int{502}, once: true,
				outcomes: refused, flags: []string{"UPE"}, phases: []string{"response-head"},
			}
			switch {
			case k == len(s.bytes):
				tr.outcomes, tr.flags, tr.phases = complete, []string{"", "UPE"}, nil
			case k >= s.head:
				// Junk that is short of a chunk's data is data, and then cut off.
				tr.outcomes, tr.flags, tr.phases = truncated|refused, []string{"UPE", "UC"}, []string{"response-body"}
			}
			g.add(tr)
		}
	}
	for i, bytes := range []string{
		"hello\r\n\r\n", "<html>\r\n</html>\r\n", "ICY 200 OK\r\n\r\n", "220 ftp.example ready\r\n", "SSH-2.0-x\r\n", "\x15\x03\x01\x00\x02\x02\x46",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "\r\n\r\n\r\n", "\n", strings.Repeat("\x00", 4096), strings.Repeat("A", 200_000),
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\n\r\nhello", "HTTP/1.1 999999 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 1_000_000) + "\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
	} {
		g.add(trial{
			name: fmt.Sprintf("line-%d", i), outcomes: refused, statuses: []int{502}, flags: []string{"UPE"}, phases: []string{"response-head"}, once: true,
			script: func(x *harness.Exchange) { x.ReadBody(); x.Write([]byte(bytes)); x.CloseWrite(); x.Hold() },
		})
	}
	return g
}

// hangs leaves the proxy waiting after every byte. They all wait side by side.
func hangs() *group {
	g := &group{name: "hang", side: 16, opt: harness.Options{Rule: "timeout: 700ms"}}
	for _, s := range shapes() {
		for _, k := range s.offsets() {
			if k%every(1, 3) != 0 || k == len(s.bytes) && !s.closes {
				continue
			}
			part := []byte(s.bytes[:k])
			tr := trial{
				name:     fmt.Sprintf("%s-%03d", s.name, k),
				script:   func(x *harness.Exchange) { x.ReadBody(); x.Write(part); x.Hold() },
				statuses: []int{504}, outcomes: refused, flags: []string{"UT"}, phases: []string{"response-head"}, once: true,
			}
			if k >= s.head {
				tr.outcomes, tr.phases = truncated|refused, []string{"response-body"}
			}
			g.add(tr)
		}
	}
	// The origin does not read a body that is greater than what kernels buffer.
	g.add(trial{
		name:    "unread-body",
		request: "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("b", 1000),
		script:  func(x *harness.Exchange) { x.Hold() }, statuses: []int{504}, outcomes: refused, flags: []string{"UT"},
	})
	return g
}

// unreachable are origins that no connection can be made to.
func unreachable(t *testing.T, kind string) []harness.Verdict {
	t.Helper()
	var verdicts []harness.Verdict
	o, err := harness.StartOrigin(harness.Echo)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	addr, err := harness.RefusedAddr()
	if err != nil {
		t.Fatal(err)
	}
	refuse := &group{name: "refuse", side: 4}
	for i := range 20 {
		refuse.add(trial{name: fmt.Sprint("get-", i), outcomes: refused, statuses: []int{502, 503}, flags: []string{"UF"}, phases: []string{"connect"}})
	}
	verdicts = append(verdicts, refuse.against(t, harness.Start(t, kind, addr, refuse.opt), o)...)

	full, release, err := fullBacklog()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	silent := &group{name: "silent", side: 4, opt: harness.Options{Cluster: "timeouts: {connect: 300ms}"}}
	for i := range 8 {
		silent.add(trial{name: fmt.Sprint("get-", i), outcomes: refused, statuses: []int{502, 503, 504}, flags: []string{"UF"}, phases: []string{"connect"}})
	}
	return append(verdicts, silent.against(t, harness.Start(t, kind, full, silent.opt), o)...)
}

// fullBacklog returns an address where a connection is neither made nor
// refused: nobody accepts, and the queue is full.
func fullBacklog() (string, func(), error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return "", nil, err
	}
	f := os.NewFile(uintptr(fd), "backlog")
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", nil, err
	}
	if err := syscall.Listen(fd, 0); err != nil {
		return "", nil, err
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return "", nil, err
	}
	port := sa.(*syscall.SockaddrInet4).Port
	first, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("127.0.0.1:%d", port), func() { first.Close(); f.Close() }, nil
}
