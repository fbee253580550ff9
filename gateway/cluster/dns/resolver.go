package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// ErrNotFound says that the name does not exist (NXDOMAIN).
var ErrNotFound = errors.New("no such name")

// maxLookups bounds the lookups of a process that are under way.
const maxLookups = 64

// Resolver resolves names. One serves a whole process; its methods may be
// called from any goroutine.
type Resolver struct {
	hosts   file[hosts]
	system  file[servers]
	routed  func(netip.Addr) bool
	lookups chan struct{} // one for each lookup under way
}

// NewResolver makes a resolver that follows the given files, normally
// /etc/hosts and /etc/resolv.conf.
func NewResolver(hostsFile, resolvConf string) *Resolver {
	return &Resolver{
		hosts:   file[hosts]{path: hostsFile, parse: parseHosts},
		system:  file[servers]{path: resolvConf, parse: parseResolvConf},
		routed:  routed,
		lookups: make(chan struct{}, maxLookups),
	}
}

// part is what is known of one address family of a name.
type part struct {
	addresses []netip.Addr
	err       error // the servers could not be asked; addresses are unknown
}

// answer is the outcome of one lookup.
type answer struct {
	local    []netip.Addr // from the hosts file, or an address itself; nil: see parts
	parts    [families]part
	ttl      time.Duration
	ttlKnown bool // servers gave at least one address
}

// Lookup returns the addresses of a name. No addresses and no error is a name
// that exists and has none of the wanted families.
func (r *Resolver) Lookup(ctx context.Context, name string, config *Config) ([]netip.Addr, error) {
	a, err := r.lookup(ctx, name, config)
	if err != nil {
		return nil, err
	}
	return r.addresses(&a, config), nil
}

// addresses brings the addresses of an answer into one list.
func (r *Resolver) addresses(a *answer, config *Config) []netip.Addr {
	if a.local != nil {
		return a.local
	}
	all := slices.Concat(a.parts[six].addresses, a.parts[four].addresses)
	if config.Family != AutoFamily {
		return all
	}
	return r.reachable(all)
}

// reachable leaves out what the machine has no route to, unless that is all.
func (r *Resolver) reachable(all []netip.Addr) []netip.Addr {
	reached := slices.DeleteFunc(slices.Clone(all), func(a netip.Addr) bool { return !r.routed(a) })
	if len(reached) == 0 {
		return all
	}
	return reached
}

func (r *Resolver) lookup(ctx context.Context, name string, config *Config) (answer, error) {
	if address, err := netip.ParseAddr(name); err == nil {
		return answer{local: []netip.Addr{address.Unmap()}}, nil
	}
	if _, ok := dns.IsDomainName(name); !ok || name == "" || name == "." {
		return answer{}, fmt.Errorf("%q is not a host name", name)
	}
	if local := r.local(name, config); local != nil {
		return answer{local: local}, nil
	}
	select {
	case r.lookups <- struct{}{}:
		defer func() { <-r.lookups }()
	case <-ctx.Done():
		return answer{}, context.Cause(ctx)
	}
	s := r.servers(config)
	// The answer of the first name of the search list that has addresses. If
	// there is none: a server's failure says more than an empty answer, and
	// that more than NXDOMAIN, since either name may be the one that is meant.
	result, failure := answer{}, fmt.Errorf("%w: %s", ErrNotFound, name)
	const missing, empty, failed = 0, 1, 2
	rank := missing
	for _, candidate := range s.names(name) {
		a, err := s.both(ctx, candidate, config)
		if ctx.Err() != nil {
			return answer{}, context.Cause(ctx)
		}
		switch {
		case err == nil && a.ttlKnown:
			return a, nil
		case err == nil && rank < empty:
			rank, result, failure = empty, a, nil
		case err != nil && !errors.Is(err, ErrNotFound):
			rank, failure = failed, err
		}
	}
	return result, failure
}

// local answers from the hosts file, and for localhost.
func (r *Resolver) local(name string, config *Config) []netip.Addr {
	name = canonical(name)
	list, listed := r.hosts.get()[name]
	if !listed && (name == "localhost" || strings.HasSuffix(name, ".localhost")) {
		list = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	wanted := slices.DeleteFunc(slices.Clone(list), func(a netip.Addr) bool { return !config.uses(familyOf(a)) })
	if len(wanted) == 0 {
		return nil
	}
	if config.Family == AutoFamily {
		return r.reachable(wanted)
	}
	return wanted
}

func (r *Resolver) servers(config *Config) servers {
	if len(config.Resolvers) == 0 {
		return r.system.get()
	}
	return servers{addresses: config.Resolvers, names: asItStands, timeout: 5 * time.Second, attempts: 2}
}

// both asks for the wanted families at once. It fails when there is no address
// and not all families were answered: the one that failed may have some.
func (s *servers) both(ctx context.Context, name string, config *Config) (answer, error) {
	type outcome struct {
		m   *dns.Msg
		err error
	}
	var outcomes [families]chan outcome
	for f := range families {
		if !config.uses(f) {
			continue
		}
		outcomes[f] = make(chan outcome, 1)
		go func() {
			kind := dns.TypeA
			if f == six {
				kind = dns.TypeAAAA
			}
			m, err := s.ask(ctx, name, kind)
			outcomes[f] <- outcome{m, err}
		}()
	}
	a := answer{ttl: maxTTL}
	var failure error
	answered, missing := false, false
	for f := range families {
		if outcomes[f] == nil {
			continue
		}
		o := <-outcomes[f]
		switch {
		case o.err != nil:
			failure = o.err
			a.parts[f].err = o.err
		case o.m.Rcode == dns.RcodeNameError:
			missing = true
		default:
			answered = true
			list, ttl := addresses(o.m)
			a.parts[f].addresses = list
			if len(list) > 0 {
				a.ttl, a.ttlKnown = min(a.ttl, ttl), true
			}
		}
	}
	switch {
	case a.ttlKnown:
		return a, nil
	case missing && !answered && failure == nil:
		return a, fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	return a, failure
}
