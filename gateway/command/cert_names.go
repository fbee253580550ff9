package command

import (
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// certNames are the subject alternative names of a certificate.
type certNames struct {
	common string // the common name; "" where none fits
	dns    []string
	ips    []net.IP
	uris   []*url.URL
}

// dnsName is a name or a wildcard in lower case; labels of letters, digits, "-" and "_".
var dnsName = regexp.MustCompile(`^(\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$`)

// maxCommonName is ub-common-name of RFC 5280, appendix A.
const maxCommonName = 64

// readNames sorts names by what they are. A client may be called by any name without a slash
// or control characters, which then is its common name alone.
func readNames(list []string, client bool) (certNames, error) {
	var names certNames
	for _, name := range list {
		folded := strings.TrimSuffix(strings.ToLower(name), ".")
		if address, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil && address.Zone() == "" {
			names.ips = append(names.ips, address.Unmap().AsSlice())
		} else if strings.HasPrefix(name, "spiffe://") {
			uri, err := url.Parse(name)
			if err != nil || uri.Host == "" {
				return names, misusef("--name %q: not a URI as in spiffe://example.com/service", name)
			}
			names.uris = append(names.uris, uri)
		} else if dnsName.MatchString(folded) && len(folded) <= 253 && folded != "*" {
			names.dns = append(names.dns, folded)
		} else if !client || len(list) > 1 || len(name) > maxCommonName || strings.ContainsFunc(name, oddInName) {
			return names, misusef("--name %q: not a server name, wildcard, address or spiffe:// URI (names that are not ASCII are written as xn--...)", name)
		}
	}
	if len(names.uris) == 0 && len(list[0]) <= maxCommonName {
		names.common = list[0]
	}
	return names, nil
}

func oddInName(r rune) bool { return r < ' ' || r == 0x7f || r == '/' || r == '\\' }

// A certStem is what the files of one certificate have in common, and its secret's name.
type certStem struct{ dir, name string }

// newCertStem makes a file name of a certificate's first name.
func newCertStem(dir, first string) certStem {
	name := strings.TrimPrefix(strings.ToLower(first), "spiffe://")
	name = strings.Replace(name, "*.", "wildcard.", 1)
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, name)
	if name = strings.Trim(name, ".-"); name == "" {
		name = "cert"
	}
	return certStem{dir, name}
}

func (s certStem) path(suffix string) string { return filepath.Join(s.dir, s.name+suffix) }

// secret is a short name for gateway.yaml: the first label that is a word.
func (s certStem) secret() string {
	for label := range strings.SplitSeq(strings.TrimPrefix(s.name, "wildcard."), ".") {
		if label != "" && label[0] >= 'a' && label[0] <= 'z' && !slices.Contains(yamlWords, label) {
			return label
		}
	}
	return "cert"
}

// yamlWords are names that some readers of YAML take for something else.
var yamlWords = []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}

// yamlPlain is what needs no quotes in YAML's flow style.
var yamlPlain = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./-]*$`)

// yamlScalar quotes what YAML would read as something else.
func yamlScalar(text string) string {
	if yamlPlain.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
