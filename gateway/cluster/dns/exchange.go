package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// udpSize is the largest answer asked for over UDP (RFC 6891); 1232 passes every
// path without fragments.
const udpSize = 1232

// ask puts one question to the servers until one answers it. NXDOMAIN is an
// answer; SERVFAIL, REFUSED and silence are reasons to ask the next server.
func (s *servers) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	var problem error
	for range s.attempts {
		for _, server := range s.addresses {
			answer, err := s.exchange(ctx, server, name, kind)
			if err == nil && (answer.Rcode == dns.RcodeSuccess || answer.Rcode == dns.RcodeNameError) {
				return answer, nil
			}
			if err == nil {
				err = fmt.Errorf("server %s answered %s", server, dns.RcodeToString[answer.Rcode])
			}
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			problem = err
		}
	}
	return nil, problem
}

// exchange asks one server over UDP, and over TCP when the answer was cut (RFC 7766, 5).
func (s *servers) exchange(ctx context.Context, server netip.AddrPort, name string, kind uint16) (*dns.Msg, error) {
	question := new(dns.Msg)
	question.SetQuestion(name, kind)
	question.SetEdns0(udpSize, false)
	answer, err := s.send(ctx, "udp", server, question)
	if err == nil && answer.Truncated {
		answer, err = s.send(ctx, "tcp", server, question)
	}
	if err != nil && ctx.Err() == nil {
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			err = fmt.Errorf("server %s did not answer within %s", server, s.timeout)
		} else {
			err = fmt.Errorf("server %s: %w", server, err)
		}
	}
	return answer, err
}

func (s *servers) send(ctx context.Context, network string, server netip.AddrPort, question *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	socket, err := new(net.Dialer).DialContext(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	stop := context.AfterFunc(ctx, func() { socket.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn := &dns.Conn{Conn: socket, UDPSize: udpSize}
	if err := conn.WriteMsg(question); err != nil {
		return nil, err
	}
	for {
		answer, err := conn.ReadMsg()
		switch {
		case err == nil && answers(answer, question):
			return answer, nil
		case err != nil && answer != nil && answer.Truncated && answers(answer, question):
			return answer, nil // cut within a record
		case network == "tcp" && err == nil:
			return nil, errors.New("answered another question")
		case network == "tcp" || errors.As(err, new(net.Error)):
			return nil, err
		}
		// A stray or forged datagram: go on waiting for the real answer.
	}
}

// answers tells whether m is the answer to a question (RFC 5452, 9.1).
func answers(m, question *dns.Msg) bool {
	if !m.Response || m.Id != question.Id || len(m.Question) != 1 {
		return false
	}
	got, want := m.Question[0], question.Question[0]
	return got.Qtype == want.Qtype && got.Qclass == want.Qclass && strings.EqualFold(got.Name, want.Name)
}

// addresses takes the addresses of a kind out of an answer, with the least TTL
// on the way to them (aliases included).
func addresses(m *dns.Msg) (list []netip.Addr, ttl time.Duration) {
	least := ^uint32(0)
	for _, record := range m.Answer {
		var ip net.IP
		switch record := record.(type) {
		case *dns.A:
			ip = record.A
		case *dns.AAAA:
			ip = record.AAAA
		case *dns.CNAME:
		default:
			continue
		}
		least = min(least, record.Header().Ttl)
		if record.Header().Rrtype != m.Question[0].Qtype {
			continue
		}
		if address, ok := netip.AddrFromSlice(ip); ok {
			list = append(list, address.Unmap())
		}
	}
	return list, time.Duration(least) * time.Second
}
