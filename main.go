// Longmen is an edge gateway. See README.md and package command.
package main

import (
	"context"
	"os"

	"longmen/gateway/command"
)

func main() {
	os.Exit(command.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
