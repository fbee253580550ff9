package command

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"longmen/gateway/overload"
	"longmen/gateway/protocol/cdnloop"
	"longmen/gateway/resource"
	"longmen/gateway/snapshot"
)

// Settings are those of the process, as opposed to its resources. They are
// layered: defaults, then the file, then the environment, then flags.
type Settings struct {
	Mode string // "edge"
	Node string // name of this instance in logs
	// Locality is where the gateway is; "" are not known.
	Locality struct {
		Region, Zone string
		SubZone      string `mapstructure:"sub_zone"`
		Gateways     string // the cluster whose endpoints the gateways are
	}
	Workers Workers
	Pin     bool // bind each worker to a CPU
	Admin   struct {
		Bind string // address, "unix:/path" or "off"
	}
	Log struct {
		Level  string // "debug", "info", "warn", "error"
		Format string // "text", "json"
		Path   string
	}
	Drain struct {
		Timeout time.Duration // for connections to finish after SIGTERM; 0: none
	}
	Limits struct {
		Connections int // client connections at once; 0: no limit
		Files       int // file descriptors; 0: as many as the hard limit allows
	}
	Watchdog time.Duration // a loop held up for longer is reported; 0: off
	// LoopGuard refuses requests that come round. ID is "auto", "off" or a token.
	LoopGuard struct {
		ID   string
		Hops int
	} `mapstructure:"loop_guard"`
	Overload overload.Config

	// AccessLog serves listeners that have none. It comes from the file only:
	// the names of its fields must not pass through viper, which folds case.
	AccessLog []snapshot.AccessLog `mapstructure:"-"`
}

// Workers is a number of worker loops; 0 is one for each usable CPU ("auto").
type Workers int

// separator divides the parts of a key inside viper: no key holds it.
const separator = "::"

// setting describes one key: how it is written, and what it may be.
type setting struct {
	key      string // as in the file: "admin.bind"
	fallback string
	flag     string // "" when there is none
	allowed  string // for messages
	check    func(string) bool
}

func (s setting) viper() string { return strings.ReplaceAll(s.key, ".", separator) }

// env is the variable of the key: "admin.bind" is LONGMEN_ADMIN_BIND.
func (s setting) env() string {
	return "LONGMEN_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// settingTable lists every setting but access_log.
var settingTable = append([]setting{
	{"mode", "edge", "mode", "edge", oneOf("edge", "sidecar")},
	{"node", "", "", "a name", isName},
	{"locality.region", "", "", "a name", isName},
	{"locality.zone", "", "", "a name", isName},
	{"locality.sub_zone", "", "", "a name", isName},
	{"locality.gateways", "", "", "the name of a cluster", isName},
	{"workers", "auto", "workers", "auto, or a number from 1 to 1024", isWorkers},
	{"pin", "false", "", "true or false", oneOf("true", "false")},
	{"admin.bind", "127.0.0.1:15000", "admin", `an address with port such as "127.0.0.1:15000", "unix:/path", or off`, isBind},
	{"log.level", "info", "", "debug, info, warn or error", oneOf("debug", "info", "warn", "error")},
	{"log.format", "text", "", "text or json", oneOf("text", "json")},
	{"log.path", "/dev/stderr", "", "the path of a file", isName},
	{"drain.timeout", "30s", "", "a duration such as 30s, at most 24h", isDuration},
	{"limits.connections", "0", "", "a number from 0 to 100000000", isNumber(0, 100_000_000)},
	{"limits.files", "0", "", "a number from 64 to 10000000", isFiles},
	{"watchdog", "500ms", "", "a duration such as 500ms, at most 24h", isDuration},
	{"loop_guard.id", "auto", "", `a name such as "dc1", auto or off`, cdnloop.Valid},
	{"loop_guard.hops", strconv.Itoa(cdnloop.DefaultHops), "", "a number from 1 to 255", isNumber(1, cdnloop.MostHops)},
}, overloadSettings()...)

// overloadSettings are those of the overload manager.
func overloadSettings() []setting {
	var all []setting
	for _, s := range overload.Settings() {
		all = append(all, setting{"overload." + s.Name(), s.Default, "", s.Allowed, s.Check})
	}
	return all
}

// sources is where settings come from.
type sources struct {
	process map[string]any    // the file's, as yaml.Decode gives it; may be nil
	origins *resource.Origins // of the file's settings
	flags   *pflag.FlagSet    // of the command; may be nil
	fixed   *Settings         // those of a process that runs, which do not change; nil: none
}

// settings layers the sources and checks the result. All problems are reported.
func (s sources) settings() (*Settings, resource.Problems) {
	v := viper.NewWithOptions(viper.KeyDelimiter(separator), viper.ExperimentalBindStruct())
	fromFile := maps.Clone(s.process)
	delete(fromFile, "access_log")
	if err := v.MergeConfigMap(fromFile); err != nil {
		return nil, resource.Problems{{Text: err.Error()}}
	}
	var problems resource.Problems
	for _, key := range settingTable {
		v.SetDefault(key.viper(), key.fallback)
		if err := v.BindEnv(key.viper(), key.env()); err != nil {
			return nil, resource.Problems{{Text: err.Error()}}
		}
		if flag := s.flag(key); flag != nil {
			if err := v.BindPFlag(key.viper(), flag); err != nil {
				return nil, resource.Problems{{Text: err.Error()}}
			}
		}
		problems = append(problems, s.verify(key, fmt.Sprint(v.Get(key.viper())))...)
	}
	out := &Settings{}
	if len(problems) > 0 {
		return nil, problems
	}
	if err := v.UnmarshalExact(out, viper.DecodeHook(decodeSetting)); err != nil {
		return nil, resource.Problems{{Text: err.Error()}}
	}
	if out.Node == "" {
		out.Node, _ = os.Hostname() // a name for logs; without one they do without
	}
	out.AccessLog, problems = s.accessLogs()
	return out, problems
}

// flag is the flag of a setting, nil if the command has none.
func (s sources) flag(key setting) *pflag.Flag {
	if s.flags == nil || key.flag == "" {
		return nil
	}
	return s.flags.Lookup(key.flag)
}

// verify checks one value and names the layer that it came from.
func (s sources) verify(key setting, value string) resource.Problems {
	sidecar := key.key == "mode" && value == "sidecar"
	if key.check(value) && !sidecar || value == key.fallback {
		return nil
	}
	p := resource.Problem{Path: resource.Path(key.key), Text: fmt.Sprintf("%q: must be %s", value, key.allowed)}
	if sidecar {
		p.Text = "sidecar is not supported by this version yet"
	}
	switch flag := s.flag(key); {
	case flag != nil && flag.Changed:
		p.Text += " (flag --" + key.flag + ")"
	case os.Getenv(key.env()) != "":
		p.Text += " (environment variable " + key.env() + ")"
	default:
		p.Origin = s.origins.Find(p.Path)
		p.Width = p.Origin.Width
	}
	return resource.Problems{p}
}

// decodeSetting turns texts into the types of Settings' fields, and the map of
// texts that is the overload manager's.
func decodeSetting(_, to reflect.Type, data any) (any, error) {
	if written, ok := data.(map[string]any); ok && to == reflect.TypeFor[overload.Config]() {
		return overload.Read(written)
	}
	text, ok := data.(string)
	switch {
	case !ok:
		return data, nil
	case to == reflect.TypeFor[time.Duration]():
		return time.ParseDuration(text)
	case to == reflect.TypeFor[Workers]() && text == "auto":
		return Workers(0), nil
	case to.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		return n, err
	case to.Kind() == reflect.Bool:
		return strconv.ParseBool(text)
	}
	return data, nil
}

// accessLogs reads access_log, one map or a list of them, or "off". Without it
// there is one text log on standard output.
func (s sources) accessLogs() ([]snapshot.AccessLog, resource.Problems) {
	var list []any
	switch value := s.process["access_log"].(type) {
	case nil:
		list = []any{map[string]any{}}
	case string:
		return nil, nil // "off"; the decoder takes no other
	case []any:
		list = value
	default:
		list = []any{value}
	}
	var logs []snapshot.AccessLog
	var problems resource.Problems
	for i, entry := range list {
		log, err := processLog(entry)
		if err != nil {
			at := resource.Path("access_log")
			if len(list) > 1 {
				at += resource.Path(fmt.Sprintf("[%d]", i))
			}
			problems = append(problems, s.origins.Problem(at, at+".format", "%v", err))
			continue
		}
		logs = append(logs, log)
	}
	return logs, problems
}

// processLog compiles {path, format, fields}.
func processLog(entry any) (snapshot.AccessLog, error) {
	keys, ok := entry.(map[string]any)
	if !ok {
		return snapshot.AccessLog{}, errors.New("must be a map with path, format and fields")
	}
	path, _ := keys["path"].(string)
	if path == "" {
		path = "/dev/stdout"
	}
	fields := map[string]string{}
	if list, ok := keys["fields"].(map[string]any); ok {
		for name, template := range list {
			fields[name] = fmt.Sprint(template)
		}
	}
	switch format, _ := keys["format"].(string); {
	case format == "json":
		return snapshot.JSONLog(path, fields)
	case len(fields) > 0:
		return snapshot.AccessLog{}, errors.New("fields are for format json")
	case format == "" || format == "text":
		return snapshot.TextLog(path, "")
	default:
		return snapshot.TextLog(path, format)
	}
}

// strayVariables finds variables that are probably misspelt settings. Others
// that begin with LONGMEN_ are no mistake: Kubernetes makes some for a service
// of that name.
func strayVariables(environ []string) []string {
	var known, warnings []string
	for _, key := range settingTable {
		known = append(known, key.env())
	}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "LONGMEN_") || slices.Contains(known, name) {
			continue
		}
		if near, ok := resource.Nearest(name, known); ok {
			warnings = append(warnings, fmt.Sprintf("environment variable %s is not known; did you mean %s?", name, near))
		}
	}
	slices.Sort(warnings)
	return warnings
}
