package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binaryEnv names the gateway under test. Main builds one if it is empty.
const binaryEnv = "LONGMEN_BIN"

// Main is every suite's TestMain: it sees to it that there is a gateway to
// test, runs the tests and returns the exit code. Without a gateway the suite
// fails; it is never skipped.
func Main(m *testing.M) int {
	if os.Getenv(binaryEnv) == "" && selected(Longmen) {
		dir, err := os.MkdirTemp("", "longmen-conformance-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bin := filepath.Join(dir, "longmen")
		if err := build(bin); err != nil {
			fmt.Fprintln(os.Stderr, "conformance: no gateway to test:", err)
			return 1
		}
		os.Setenv(binaryEnv, bin)
	}
	return m.Run()
}

func build(bin string) error {
	cmd := exec.Command("go", "build", "-o", bin, "longmen")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// Full says that every case is to run, not only the quick subset.
func Full() bool { return os.Getenv("LONGMEN_CONFORMANCE") == "full" }
