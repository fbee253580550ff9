package hello_test

import (
	"bytes"
	"crypto/tls"
	"testing"

	"longmen/tls/hello"
)

func TestSniff(t *testing.T) {
	tests := []struct {
		in   string
		want hello.Protocol
	}{
		{"", hello.Short},
		{"\x16", hello.Short},
		{"\x16\x03", hello.TLS},
		{"\x16\x03\x01", hello.TLS},
		{"\x16\x03\x04\x00", hello.TLS},
		{"\x16\x01", hello.Short},
		{"\x16\x01\x01", hello.TLCP},
		{"\x16\x01\x00", hello.Plain},
		{"\x16\x02", hello.Plain},
		{"\x15\x03\x01", hello.Plain},
		{"G", hello.Plain},
		{"PRI * HTTP/2.0", hello.Plain},
		{"\x00", hello.Plain},
		{"\x80", hello.Short},
		{"\x80\x2e", hello.Short},
		{"\x80\x2e\x02", hello.Plain},
		{"\x80\x2e\x01", hello.Short},
		{"\x80\x2e\x01\x03", hello.SSLv2},
		{"\x80\x2e\x01\x00", hello.Short},
		{"\x80\x2e\x01\x00\x02", hello.SSLv2},
		{"\x80\x2e\x01\x00\x03", hello.Plain},
		{"\xff\x2e\x01\x04", hello.Plain},
	}
	for _, test := range tests {
		if got := hello.Sniff([]byte(test.in)); got != test.want {
			t.Errorf("%q: %v, want %v", test.in, got, test.want)
		}
	}
}

// Whatever has come of a hello, the answer is "more" until all of it is there.
func TestFindAtEveryByte(t *testing.T) {
	for name, p := range map[string][]byte{
		"crypto/tls": captureGo(t, &tls.Config{ServerName: "example.org"}),
		"tlcp":       captureTLCP(t),
		"split":      records(0x0301, basic(sni("a.example")).message(), 1, 1, 1, 1, 20),
	} {
		want := message(t, p)
		for n := range len(p) {
			if msg, used, err := hello.Find(p[:n], nil); msg != nil || used != 0 || err != nil {
				t.Fatalf("%s, %d of %d bytes: %d bytes used, %v", name, n, len(p), used, err)
			}
		}
		more := append(bytes.Clone(p), 0x14, 3, 3, 0, 1, 1)
		if msg, used, err := hello.Find(more, nil); !bytes.Equal(msg, want) || used != len(p) || err != nil {
			t.Errorf("%s with more behind it: %d bytes used, %v", name, used, err)
		}
	}
}

// Split over two records at every place, and over as many as there may be.
func TestFindSplit(t *testing.T) {
	msg := message(t, captureGo(t, &tls.Config{ServerName: "example.org"}))
	scratch := make([]byte, 0, len(msg))
	for n := 1; n < len(msg); n++ {
		p := records(0x0301, msg, n, len(msg))
		for _, short := range []int{n, n + 5, n + 10, len(p) - 1} {
			if _, used, err := hello.Find(p[:short], scratch); used != 0 || err != nil {
				t.Fatalf("split at %d, %d bytes: %d used, %v", n, short, used, err)
			}
		}
		got, used, err := hello.Find(p, scratch)
		if !bytes.Equal(got, msg) || used != len(p) || err != nil {
			t.Fatalf("split at %d: %d of %d bytes used, %v", n, used, len(p), err)
		}
		if &got[0] != &scratch[:1][0] {
			t.Fatal("scratch was not used")
		}
	}
	size := (len(msg) + hello.MaxRecords - 1) / hello.MaxRecords
	if got, _, err := hello.Find(records(0x0301, msg, size), nil); !bytes.Equal(got, msg) || err != nil {
		t.Errorf("%d records: %v", hello.MaxRecords, err)
	}
	if _, _, err := hello.Find(records(0x0301, msg, 1), nil); err == nil {
		t.Error("as many records as bytes are not refused")
	}
}

func TestFindInPlace(t *testing.T) {
	p := captureGo(t, &tls.Config{ServerName: "example.org"})
	if msg := message(t, p); &msg[0] != &p[5] {
		t.Error("the message of one record was copied")
	}
	if n := testing.AllocsPerRun(10, func() { hello.Find(p, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFindLargest(t *testing.T) {
	o := basic(extension{21, make([]byte, hello.MaxMessage-4-2-32-1-4-2-2-4)})
	msg := o.message()
	if len(msg) != hello.MaxMessage {
		t.Fatalf("%d bytes", len(msg))
	}
	p := records(0x0301, msg, (len(msg)+hello.MaxRecords-1)/hello.MaxRecords)
	if len(p) > hello.MaxBytes {
		t.Errorf("%d bytes, MaxBytes is %d", len(p), hello.MaxBytes)
	}
	if got, used, err := hello.Find(p, nil); !bytes.Equal(got, msg) || used != len(p) || err != nil {
		t.Errorf("%d bytes used, %v", used, err)
	}
	msg[2], msg[3] = 0x40, 0
	wantAlert(t, records(0x0301, msg, 4), 47)
}

// Each is refused with its alert, and as soon as its last byte is there.
func TestFindRefuses(t *testing.T) {
	msg := basic().message()
	tests := []struct {
		name  string
		p     []byte
		alert uint8
	}{
		{"another record type", []byte{21}, 10},
		{"another record type behind", append(records(0x0303, msg[:10], 10), 21), 10},
		{"another version", []byte{22, 2, 0}, 70},
		{"nearly TLCP", []byte{22, 1, 0}, 70},
		{"a version that changes", append(records(0x0303, msg[:10], 10), 22, 1), 70},
		{"a length above 2^14", []byte{22, 3, 1, 0x40, 1}, 22},
		{"an empty record", []byte{22, 3, 1, 0, 0}, 10},
		{"an empty record behind", append(records(0x0303, msg[:10], 10), 22, 3, 3, 0, 0), 10},
		{"another message", []byte{22, 3, 1, 0, 4, 2}, 10},
		{"a message above 16 KB", []byte{22, 3, 1, 0, 4, 1, 0, 0x40, 0}, 47},
		{"something behind", records(0x0301, append(bytes.Clone(msg), 20), 16384), 10},
		{"a TLCP hello in a TLS record", records(0x0301, offer{version: 0x0101, suites: []uint16{0xe053}, compress: []byte{0}}.message(), 16384), 70},
		{"a TLS hello in a TLCP record", records(0x0101, msg, 16384), 70},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantAlert(t, test.p, test.alert)
			if _, used, err := hello.Find(test.p[:len(test.p)-1], nil); used != 0 || err != nil {
				t.Errorf("a byte earlier: %v", err)
			}
		})
	}
}

func wantAlert(t *testing.T, p []byte, alert uint8) {
	t.Helper()
	msg, used, err := hello.Find(p, nil)
	bad, ok := err.(*hello.Error)
	if !ok || bad.Alert != alert || msg != nil || used != 0 {
		t.Errorf("%d bytes used, %v; want alert %d", used, err, alert)
	}
}
