// Package http2 judges HTTP/2 of the built gateway: by h2spec, by clients that
// abuse it, and by what clients and origins of either version exchange.
package http2

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"longmen/conformance/harness"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(attackEnv); text != "" {
		err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, 10)
		if err == nil {
			err = runAttack(text)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(harness.Main(m))
}
