package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Tools are the binaries that the harness builds.
type Tools struct {
	Longmen, Origin, Load string
	Hold                  string
	Floor                 string // empty when there is no C compiler
}

// build compiles what is measured and what measures. Longmen's binary stays
// in root's bin/, the others are in dir.
func build(ctx context.Context, root, dir string, proxies []string) (Tools, error) {
	t := Tools{
		Longmen: filepath.Join(root, "bin", "longmen"),
		Origin:  filepath.Join(dir, "origin"),
		Load:    filepath.Join(dir, "load"),
		Hold:    filepath.Join(dir, "hold"),
	}
	run := func(name string, args ...string) error {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
		}
		return nil
	}
	for _, c := range [][2]string{{t.Origin, "./bench/cmd/origin"}, {t.Load, "./bench/cmd/load"}, {t.Hold, "./bench/cmd/hold"}} {
		if err := run("go", "build", "-o", c[0], c[1]); err != nil {
			return t, err
		}
	}
	if slices.Contains(proxies, "longmen") {
		if err := run("go", "build", "-o", t.Longmen, "."); err != nil {
			return t, err
		}
	}
	if slices.Contains(proxies, "floor") {
		if cc, err := exec.LookPath("cc"); err == nil {
			t.Floor = filepath.Join(dir, "floor")
			if err := run(cc, "-O2", "-o", t.Floor, "bench/floor/floor.c"); err != nil {
				return t, err
			}
		}
	}
	return t, nil
}

// Root is the directory of the module that the working directory is in.
func Root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return "", fmt.Errorf("run it inside the repository")
	}
	return filepath.Dir(mod), nil
}

// machine is the processor and the kernel, as far as they tell.
func machine() string {
	cpu := "unknown processor"
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			cpu = strings.TrimSpace(value)
			break
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d × %s, Linux %s, %s", runtime.NumCPU(), cpu, strings.TrimSpace(string(kernel)), runtime.Version())
}
