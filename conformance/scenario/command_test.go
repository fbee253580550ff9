package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// longmen runs a command to its end and returns what it wrote and its exit code.
func longmen(t *testing.T, dir string, arguments ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(binary(), arguments...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

const offline = `listeners:
  http: {bind: "127.0.0.1:8080", routes: main}
routes:
  main:
    - hosts: [shop.example.com]
      rules:
        - {match: {prefix: /cart}, to: {cart: 95, canary: 5}}
        - to: web
clusters:
  web: {endpoints: ["127.0.0.1:9001"]}
  cart: {endpoints: ["127.0.0.1:9002"]}
  canary: {endpoints: ["127.0.0.1:9003"]}
`

func TestOfflineCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"gateway.yaml": offline,
		"broken.yaml":  strings.Replace(offline, "canary: 5", "cannary: 5", 1),
		"other.yaml":   strings.Replace(offline, "9001", "9009", 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		arguments string
		code      int
		says      []string
	}{
		{"version", 0, []string{"longmen"}},
		{"check", 0, []string{"gateway.yaml is good", "1 listener"}},
		{"check -c broken.yaml", 1, []string{"broken.yaml:7:", `no cluster named "cannary"`, `did you mean "canary"`, "1 problem"}},
		{"check -c missing.yaml", 1, []string{"missing.yaml"}},
		{"check --nonsense", 2, []string{"nonsense"}},
		{"chek", 2, []string{`"check"`}},
		{"explain http://shop.example.com:8080/cart/1", 0, []string{"gateway.yaml:7", "prefix /cart", "cart 95 %", "canary 5 %"}},
		{"explain http://shop.example.com:8080/x -X POST", 0, []string{"gateway.yaml:8", "web"}},
		{"explain http://other.example.com:8080/x", 1, []string{"other.example.com"}},
		{"explain", 2, nil},
		{"diff gateway.yaml gateway.yaml", 0, []string{"no"}},
		{"diff gateway.yaml other.yaml", 0, []string{"web", "9009"}},
		{"diff gateway.yaml", 2, nil},
		{"run -c broken.yaml", 1, []string{"broken.yaml:7:"}},
		{"run --to ftp://x", 2, []string{"ftp://x"}},
		{"dump --admin 127.0.0.1:1", 1, []string{"127.0.0.1:1"}},
	} {
		out, code := longmen(t, dir, strings.Fields(c.arguments)...)
		if code != c.code {
			t.Errorf("longmen %s: exit code %d, want %d: %s", c.arguments, code, c.code, out)
		}
		for _, s := range c.says {
			if !strings.Contains(out, s) {
				t.Errorf("longmen %s does not say %q: %s", c.arguments, s, out)
			}
		}
	}
	out, _ := longmen(t, dir, "check", "-c", "broken.yaml", "--json")
	var problems []map[string]any
	if err := json.Unmarshal([]byte(out), &problems); err != nil || len(problems) != 1 {
		t.Errorf("check --json: %v %s", err, out)
	}
}

// TestLiveCommands asks a running gateway.
func TestLiveCommands(t *testing.T) {
	t.Parallel()
	o := named(t, "o")
	g := serve(t, map[string]string{"o": o.Addr}, plain)
	g.noLeak(o)
	for as, want := range map[string]string{"yaml": "listeners:", "xds": "type.googleapis.com", "json": `"listeners"`} {
		if out, code := longmen(t, g.dir, "dump", "--admin", g.Admin, "--as", as); code != 0 || !strings.Contains(out, want) {
			t.Errorf("dump --as %s: %d %s", as, code, out)
		}
	}
	out, code := longmen(t, g.dir, "explain", "http://"+g.Addr+"/x", "-c", g.file, "--admin", g.Admin)
	if code != 0 || !strings.Contains(out, "1 of 1 healthy") {
		t.Errorf("explain --admin: %d %s", code, out)
	}
	idle := dial(t, g.Addr)
	idle.get("/")
	other := filepath.Join(g.dir, "other.yaml")
	if err := os.WriteFile(other, []byte(g.config(strings.Replace(plain, `bind: "@http@"`, `bind: "@elsewhere@"`, 1))), 0o644); err != nil {
		t.Fatal(err)
	}
	out, code = longmen(t, g.dir, "diff", g.file, other, "--admin", g.Admin)
	if code != 0 || !strings.Contains(out, "1 client connection") {
		t.Errorf("diff --admin does not count the connection: %d %s", code, out)
	}
	idle.Close()
}

// TestRunTo serves without any file.
func TestRunTo(t *testing.T) {
	t.Parallel()
	o := named(t, "o")
	_, port, _ := strings.Cut(o.Addr, ":")
	g := serve(t, map[string]string{"port": port}, "# unused: @http@\n", setup{
		arguments: []string{"run", "--to", "http://localhost:@port@", "--bind", "@http@"},
		env:       []string{"LONGMEN_ADMIN_BIND=@admin@"},
	})
	if got := string(g.get("/x?y").Body); got != "o GET /x?y" {
		t.Errorf("got %q", got)
	}
	eventually(t, "the access log on standard output", func() bool { return strings.Contains(g.out.String(), "GET /x?y") })
	g.signal(syscall.SIGTERM)
	if code := g.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestUnprivileged runs the gateway as nobody.
func TestUnprivileged(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("the tests themselves run without privileges: so does every gateway here")
	}
	o := named(t, "o")
	// The user cannot read the test's directories.
	dir, err := os.MkdirTemp("", "longmen-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	s := setup{}
	if os.Geteuid() == 0 {
		s.credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	// Nor can it reach the binary where it was built.
	program, err := os.ReadFile(binary())
	if err != nil {
		t.Fatal(err)
	}
	s.dir, s.binary = dir, filepath.Join(dir, "longmen")
	if err := os.WriteFile(s.binary, program, 0o755); err != nil {
		t.Fatal(err)
	}
	g := serve(t, map[string]string{"o": o.Addr}, plain, s)
	g.noLeak(o)
	wantStatus(t, g.get("/x"), 200)
	g.logged("/x")
	status, err := os.ReadFile("/proc/" + strconv.Itoa(g.PID) + "/status")
	if err != nil || s.credential != nil && !strings.Contains(string(status), "Uid:\t65534\t65534\t65534\t65534") {
		t.Errorf("it runs as %s, %v", status, err)
	}
	g.signal(syscall.SIGHUP)
	eventually(t, "the configuration is read again", func() bool { return g.out.count("nothing has changed") > 0 })
}
