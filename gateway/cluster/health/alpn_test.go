package health

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"
)

// Each kind of check agrees on what it speaks, whatever the cluster speaks.
func TestChecksAgreeOnWhatTheySpeak(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, test := range []struct {
		config Config
		want   []string
	}{
		{Config{HTTP: &HTTP{}}, []string{"http/1.1"}},
		{Config{GRPC: &GRPC{}}, []string{"h2"}},
		{Config{TCP: &TCP{}}, nil},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		var offered []string
		target := &Target{
			Config: &test.config, Address: l.Addr().String,
			Secure: func(_ net.Conn, _ string, alpn []string) (net.Conn, error) {
				offered = alpn
				return nil, errors.New("enough was seen")
			},
		}
		if probe(ctx, &net.Dialer{}, target) == nil || !slices.Equal(offered, test.want) {
			t.Errorf("%+v offers %q", test.config, offered)
		}
		cancel()
	}
}
