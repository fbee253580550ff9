package command

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"longmen/gateway/source/yaml"
)

// from makes sources of a file's text and of flags.
func from(t *testing.T, text string, flags ...string) sources {
	t.Helper()
	result, problems := yaml.Decode("gateway.yaml", []byte(text))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	set := pflag.NewFlagSet("run", pflag.ContinueOnError)
	set.String("mode", "", "")
	set.String("workers", "", "")
	set.String("admin", "", "")
	if err := set.Parse(flags); err != nil {
		t.Fatal(err)
	}
	return sources{process: result.Process, origins: result.Set.Origins, flags: set}
}

func good(t *testing.T, s sources) *Settings {
	t.Helper()
	settings, problems := s.settings()
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return settings
}

func TestSettingsDefaults(t *testing.T) {
	s := good(t, from(t, ""))
	switch {
	case s.Mode != "edge", s.Workers != 0, s.Pin, s.Admin.Bind != "127.0.0.1:15000",
		s.Log.Level != "info", s.Log.Format != "text", s.Log.Path != "/dev/stderr",
		s.Drain.Timeout != 30*time.Second, s.Limits.Connections != 0, s.Limits.Files != 0, s.Watchdog != 500*time.Millisecond,
		s.Node == "":
		t.Errorf("%+v", s)
	}
	if len(s.AccessLog) != 1 || s.AccessLog[0].Path != "/dev/stdout" || s.AccessLog[0].JSON {
		t.Errorf("access log %+v", s.AccessLog)
	}
}

func TestSettingsOfTheFile(t *testing.T) {
	s := good(t, from(t, `
node: edge-1
workers: 3
pin: true
admin: {bind: "off"}
log: {level: debug, format: json, path: /tmp/x.log}
drain: {timeout: 1m}
limits: {connections: 100, files: 4096}
watchdog: 0s
access_log: [{path: /dev/stderr}, {path: a.log, format: json, fields: {Code: "%RESPONSE_CODE%"}}]
`))
	switch {
	case s.Node != "edge-1", s.Workers != 3, !s.Pin, s.Admin.Bind != "off",
		s.Log.Level != "debug", s.Log.Format != "json", s.Log.Path != "/tmp/x.log",
		s.Drain.Timeout != time.Minute, s.Limits.Connections != 100, s.Limits.Files != 4096, s.Watchdog != 0:
		t.Errorf("%+v", s)
	}
	if len(s.AccessLog) != 2 || !s.AccessLog[1].JSON || s.AccessLog[1].Path != "a.log" {
		t.Errorf("access log %+v", s.AccessLog)
	}
}

func TestSettingsLayers(t *testing.T) {
	file := "workers: 2\nadmin: {bind: \"127.0.0.1:1\"}\ndrain: {timeout: 1s}\n"
	t.Setenv("LONGMEN_WORKERS", "3")
	t.Setenv("LONGMEN_ADMIN_BIND", "127.0.0.1:2")
	if s := good(t, from(t, file)); s.Workers != 3 || s.Admin.Bind != "127.0.0.1:2" || s.Drain.Timeout != time.Second {
		t.Errorf("the environment must beat the file, and only where it says something: %+v", s)
	}
	if s := good(t, from(t, file, "--workers", "4")); s.Workers != 4 || s.Admin.Bind != "127.0.0.1:2" {
		t.Errorf("a flag must beat the environment: %+v", s)
	}
	if s := good(t, from(t, file, "--workers", "auto")); s.Workers != 0 {
		t.Errorf("auto must beat a number: %+v", s)
	}
	t.Setenv("LONGMEN_WORKERS", "")
	if s := good(t, from(t, file)); s.Workers != 2 {
		t.Errorf("an empty variable says nothing: %+v", s)
	}
}

// What may be the admin address is the same whoever says it.
func TestAdminBind(t *testing.T) {
	for bind, ok := range map[string]bool{
		"127.0.0.1:0": true, ":0": true, ":15000": true, "[::1]:15000": true, "unix:/run/longmen.sock": true, "unix:relative": true, "off": true,
		"unix:": false, "15000": false, "localhost:1": false, "127.0.0.1": false, "127.0.0.1:65536": false, "[fe80::1%eth0]:1": false, "no": false,
	} {
		result, problems := yaml.Decode("gateway.yaml", []byte(`admin: {bind: "`+bind+`"}`))
		if fine := problems.Err() == nil; fine != ok {
			t.Errorf("file: %q: %v", bind, problems)
		}
		if ok {
			if s := good(t, sources{process: result.Process, origins: result.Set.Origins}); s.Admin.Bind != bind {
				t.Errorf("file: %q becomes %q", bind, s.Admin.Bind)
			}
		}
		check := func(who string, s sources) {
			settings, problems := s.settings()
			if fine := problems.Err() == nil; fine != ok || fine && settings.Admin.Bind != bind {
				t.Errorf("%s: %q: %v", who, bind, problems)
			}
		}
		check("flag", from(t, "admin: {bind: \"127.0.0.1:1\"}", "--admin", bind))
		t.Setenv("LONGMEN_ADMIN_BIND", bind)
		check("environment", from(t, ""))
		t.Setenv("LONGMEN_ADMIN_BIND", "")
	}
}

func TestAccessLogOff(t *testing.T) {
	if s := good(t, from(t, "access_log: \"off\"")); len(s.AccessLog) != 0 {
		t.Errorf("%+v", s.AccessLog)
	}
}

// A problem names the key, where its value came from and what is allowed.
func TestSettingsProblems(t *testing.T) {
	for _, test := range []struct{ env, value, want string }{
		{"LONGMEN_WORKERS", "many", `workers: "many": must be auto, or a number from 1 to 1024 (environment variable LONGMEN_WORKERS)`},
		{"LONGMEN_WORKERS", "0", `workers: "0": must be auto`},
		{"LONGMEN_PIN", "maybe", `pin: "maybe": must be true or false (environment variable LONGMEN_PIN)`},
		{"LONGMEN_ADMIN_BIND", "15000", `admin.bind: "15000": must be an address with port`},
		{"LONGMEN_LOG_LEVEL", "loud", `log.level: "loud": must be debug, info, warn or error (environment variable LONGMEN_LOG_LEVEL)`},
		{"LONGMEN_LOG_FORMAT", "xml", `log.format: "xml": must be text or json`},
		{"LONGMEN_DRAIN_TIMEOUT", "30", `drain.timeout: "30": must be a duration`},
		{"LONGMEN_DRAIN_TIMEOUT", "-1s", `drain.timeout: "-1s": must be a duration`},
		{"LONGMEN_LIMITS_CONNECTIONS", "-1", `limits.connections: "-1": must be a number`},
		{"LONGMEN_LIMITS_FILES", "3", `limits.files: "3": must be a number from 64`},
		{"LONGMEN_WATCHDOG", "1y", `watchdog: "1y": must be a duration`},
		{"LONGMEN_MODE", "sidecar", `mode: sidecar is not supported by this version yet (environment variable LONGMEN_MODE)`},
		{"LONGMEN_MODE", "core", `mode: "core": must be edge (environment variable LONGMEN_MODE)`},
	} {
		t.Run(test.env+"="+test.value, func(t *testing.T) {
			t.Setenv(test.env, test.value)
			s, problems := from(t, "").settings()
			if s != nil || len(problems) != 1 || !strings.HasPrefix(problems[0].String(), test.want) {
				t.Errorf("got %v, want %s", problems, test.want)
			}
		})
	}
	if _, problems := from(t, "", "--mode", "sidecar").settings(); len(problems) != 1 || !strings.Contains(problems[0].String(), "(flag --mode)") {
		t.Errorf("flag: %v", problems)
	}
}

func TestStrayVariables(t *testing.T) {
	got := strayVariables([]string{"LONGMEN_WORKER=2", "LONGMEN_WORKERS=2", "LONGMEN_SERVICE_HOST=10.0.0.1", "LONGMEN_PORT_80_TCP=x", "PATH=/bin"})
	if len(got) != 1 || !strings.Contains(got[0], "did you mean LONGMEN_WORKERS?") {
		t.Errorf("%q", got)
	}
}
