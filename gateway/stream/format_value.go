package stream

import (
	"net/netip"
	"strconv"
)

// append appends the piece's value as it is; ok is false when there is none.
func (p *piece) append(dst []byte, s *Stream, resp *Response) (_ []byte, ok bool) {
	switch p.op {
	case opText:
		return append(dst, p.text...), true
	case opRequestHeader, opResponseHeader, opTrailer:
		return p.appendHeader(dst, s, resp)
	case opStartTime:
		if s.Record.Start.IsZero() {
			return dst, false
		}
		if p.text == isoTime && s.Loop != nil {
			return s.Loop.AppendStamp(dst, s.Record.Start), true
		}
		return appendTime(dst, s.Record.Start.UTC(), p.text), true
	case opHostname:
		return appendText(dst, p.text)
	case opPeerStart, opPeerEnd, opUpstreamStart, opUpstreamEnd:
		return p.appendValidity(dst, s)
	}
	return appendOperator(dst, p.op, s, resp)
}

func (p *piece) appendHeader(dst []byte, s *Stream, resp *Response) (_ []byte, ok bool) {
	start := len(dst)
	if dst, ok = p.first.append(dst, s, resp); !ok && p.second.op != opNone {
		dst, ok = p.second.append(dst, s, resp)
	}
	if p.max > 0 && len(dst)-start > p.max {
		dst = dst[:start+p.max]
	}
	return dst, ok
}

func (x *source) append(dst []byte, s *Stream, resp *Response) (_ []byte, ok bool) {
	switch x.op {
	case opRequestHeader:
		return appendPresent(dst, x.value(&s.Request.Header))
	case opResponseHeader:
		if resp == nil {
			return dst, false
		}
		return appendPresent(dst, x.value(&resp.Header))
	case opTrailer:
		return appendPresent(dst, x.value(&s.Trailer))
	}
	return appendOperator(dst, x.op, s, resp)
}

// appendOperator appends the value of an operator that has no argument.
func appendOperator(dst []byte, op operator, s *Stream, resp *Response) (_ []byte, ok bool) {
	r, rec := &s.Request, &s.Record
	switch op {
	case opProtocol:
		if len(r.Method) == 0 { // no request line was understood
			return dst, false
		}
		if r.Major >= 2 {
			return append(append(dst, "HTTP/"...), '0'+r.Major), true
		}
		return append(append(dst, "HTTP/1."...), '0'+r.Minor), true
	case opResponseCode:
		status := rec.Status
		if status == 0 && resp != nil {
			status = resp.Status // of an edit: the record is filled in later
		}
		return appendNumber(dst, int64(status))
	case opResponseFlags:
		return appendFlags(dst, rec)
	case opResponseCodeDetails, opErrorCause:
		if rec.Err == nil || rec.Err.Cause == nil {
			return dst, false
		}
		return append(dst, rec.Err.Cause.Error()...), true
	case opErrorSide:
		if rec.Err == nil {
			return dst, false
		}
		return append(dst, rec.Err.Side.String()...), true
	case opErrorPhase:
		if rec.Err == nil {
			return dst, false
		}
		return append(dst, rec.Err.Phase.String()...), true
	case opGRPCStatus, opGRPCStatusSnake, opGRPCStatusNumber:
		return appendGRPCStatus(dst, op, s, resp)
	case opBytesReceived:
		return appendNumber(dst, rec.RequestBytes)
	case opBytesSent:
		return appendNumber(dst, rec.ResponseBytes)
	case opDuration:
		return appendSince(dst, rec.Begin, rec.End)
	case opRequestDuration:
		return appendSince(dst, rec.Begin, rec.HeadDone)
	case opResponseDuration:
		return appendSince(dst, rec.Begin, rec.UpstreamHead)
	case opUpstreamHost:
		return appendAddress(dst, rec.Endpoint)
	case opUpstreamCluster:
		return appendText(dst, rec.Cluster)
	case opUpstreamAttempts:
		return appendNumber(dst, int64(rec.Tries))
	case opRetryReason:
		if rec.Retried == NotRetried {
			return dst, false
		}
		return append(dst, rec.Retried.String()...), true
	case opRetryEnd:
		if rec.RetryEnd == RetryWentOn {
			return dst, false
		}
		return append(dst, rec.RetryEnd.String()...), true
	case opRouteName:
		return appendText(dst, rec.Route)
	case opRouteOrigin:
		return appendText(dst, rec.RouteOrigin)
	case opListener:
		return appendText(dst, rec.Listener)
	case opRemoteAddress:
		return appendAddress(dst, s.client())
	case opRemoteAddressOnly:
		return appendAddr(dst, s.client().Addr())
	case opRemotePort:
		return appendPort(dst, s.client().Port())
	case opDirectAddress:
		return appendAddress(dst, s.Remote)
	case opDirectAddressOnly:
		return appendAddr(dst, s.Remote.Addr())
	case opDirectPort:
		return appendPort(dst, s.Remote.Port())
	case opLocalAddress:
		return appendAddress(dst, s.Local)
	case opLocalAddressOnly:
		return appendAddr(dst, s.Local.Addr())
	case opLocalPort:
		return appendPort(dst, s.Local.Port())
	case opStreamID:
		return strconv.AppendUint(dst, s.ID, 10), true
	case opMethod:
		return appendSome(dst, r.Method)
	case opPath:
		return appendSome(dst, r.Path)
	case opQuery:
		return append(dst, r.Query...), r.HasQuery
	case opHost:
		return appendSome(dst, r.Host)
	case opTarget:
		if len(r.Path) == 0 {
			return appendSome(dst, r.Target)
		}
		dst = append(dst, r.Path...)
		if r.HasQuery {
			dst = append(append(dst, '?'), r.Query...)
		}
		return dst, true
	case opAuthority:
		return appendSome(dst, r.Authority)
	case opScheme:
		return appendText(dst, r.Scheme)
	}
	return appendTLS(dst, op, s)
}

// appendFlags appends the flag of the failure, and that of retries which ended.
func appendFlags(dst []byte, rec *Record) ([]byte, bool) {
	first, second := rec.Flag(), rec.RetryEnd.Flag()
	if first == FlagNone || first == second {
		first, second = second, FlagNone
	}
	if first == FlagNone {
		return dst, false
	}
	dst = append(dst, first.String()...)
	if second != FlagNone {
		dst = append(append(dst, ','), second.String()...)
	}
	return dst, true
}

// appendGRPCStatus appends the status of a gRPC call; other requests have none.
func appendGRPCStatus(dst []byte, op operator, s *Stream, resp *Response) ([]byte, bool) {
	code, ok := s.GRPCStatus(resp)
	switch {
	case !ok:
		return dst, false
	case op == opGRPCStatusNumber:
		return code.Append(dst), true
	case op == opGRPCStatusSnake:
		return append(dst, code.String()...), true
	}
	return append(dst, code.CamelString()...), true
}

// client is the client's address, with its port when that is known.
func (s *Stream) client() netip.AddrPort {
	if !s.Client.IsValid() || s.Client == s.Remote.Addr() {
		return s.Remote
	}
	return netip.AddrPortFrom(s.Client, 0)
}

// appendPresent appends a header field's value, nil when the field is absent.
func appendPresent(dst, value []byte) ([]byte, bool) {
	return append(dst, value...), value != nil
}

func appendSome(dst, value []byte) ([]byte, bool) {
	return append(dst, value...), len(value) > 0
}

func appendText(dst []byte, value string) ([]byte, bool) {
	return append(dst, value...), value != ""
}

func appendNumber(dst []byte, n int64) ([]byte, bool) {
	return strconv.AppendInt(dst, n, 10), true
}

func appendPort(dst []byte, port uint16) ([]byte, bool) {
	if port == 0 {
		return dst, false
	}
	return appendNumber(dst, int64(port))
}

// appendSince appends the milliseconds between two times of a Record.
func appendSince(dst []byte, from, to int64) ([]byte, bool) {
	if from == 0 || to == 0 {
		return dst, false
	}
	return appendNumber(dst, (to-from)/1e6)
}

func appendAddress(dst []byte, a netip.AddrPort) ([]byte, bool) {
	if !a.IsValid() {
		return dst, false
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).AppendTo(dst), true
}

func appendAddr(dst []byte, a netip.Addr) ([]byte, bool) {
	if !a.IsValid() {
		return dst, false
	}
	return a.Unmap().AppendTo(dst), true
}
