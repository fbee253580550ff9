package command

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxSettingDuration bounds durations of the process.
const maxSettingDuration = 24 * time.Hour

func oneOf(words ...string) func(string) bool {
	return func(value string) bool { return slices.Contains(words, value) }
}

func isNumber(low, high int) func(string) bool {
	return func(value string) bool {
		n, err := strconv.Atoi(value)
		return err == nil && n >= low && n <= high
	}
}

func isWorkers(value string) bool { return value == "auto" || isNumber(1, 1024)(value) }

// isFiles takes 0 too, which is how "the hard limit" is said.
func isFiles(value string) bool { return value == "0" || isNumber(64, 10_000_000)(value) }

func isDuration(value string) bool {
	d, err := time.ParseDuration(value)
	return err == nil && d >= 0 && d <= maxSettingDuration
}

func isName(value string) bool {
	return value != "" && len(value) <= 255 && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func isBind(value string) bool {
	if path, ok := strings.CutPrefix(value, "unix:"); ok {
		return path != ""
	}
	bind, err := parseBind(value)
	return value == "off" || err == nil && bind.Addr().Zone() == ""
}

// parseBind reads an address to listen on. ":8080" is every address of the host.
func parseBind(value string) (netip.AddrPort, error) {
	if port, ok := strings.CutPrefix(value, ":"); ok {
		value = "[::]:" + port
	}
	return netip.ParseAddrPort(value)
}
