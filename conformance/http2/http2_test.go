// Package http2 judges HTTP/2 of the built gateway: by h2spec, by clients that
// abuse it, and by what clients and origins of either version exchange.
package http2

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"longmen/conformance/harness"
)

func TestMain(m *testing.M) {
	text := os.Getenv(attackEnv)
	switch {
	case text != "" && !measures():
		as(&shortAttr, func() error { return runAttack(text) })
	case text != "":
		as(&attackerAttr, func() error { return runAttack(text) })
	case os.Getenv(victimEnv) != "":
		as(&victimAttr, runVictim)
	}
	os.Exit(harness.Main(m))
}

// as is this process's whole life, scheduled so, as something other than a test.
func as(attr *unix.SchedAttr, run func() error) {
	err := giveWay(attr)
	if err == nil {
		err = run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
