package std

import (
	"crypto/tls"
	"errors"
	"fmt"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// takeover makes the result of a handshake that crypto/tls completed. Its errors say that this
// package does not fit the Go release, with one exception.
func (w *wire) takeover(conn *tls.Conn) (*handshake.Result, error) {
	state := conn.ConnectionState()
	session, err := w.session(state.Version, state.CipherSuite)
	if err != nil {
		if _, ok := err.(*handshake.Error); !ok {
			err = &handshake.Error{Alert: handshake.InternalError, Cause: err}
		}
		return nil, err
	}
	w.detached = true
	result := &handshake.Result{
		Session:      session,
		Version:      state.Version,
		Suite:        state.CipherSuite,
		Group:        uint16(state.CurveID),
		ServerName:   state.ServerName,
		Protocol:     state.NegotiatedProtocol,
		Resumed:      state.DidResume,
		PeerVerified: len(state.VerifiedChains) > 0,
		ECHAccepted:  state.ECHAccepted,
	}
	if w.client {
		result.OCSPStaple = state.OCSPResponse
	}
	for _, c := range state.PeerCertificates {
		result.PeerChain = append(result.PeerChain, c.Raw)
	}
	return result, nil
}

func (w *wire) session(version, suite uint16) (*record.Session, error) {
	var in, out *record.Half
	var err error
	switch version {
	case tls.VersionTLS13:
		in, out, err = w.halves13(suite)
	case tls.VersionTLS12:
		in, out, err = w.halves12(suite)
	default:
		err = fmt.Errorf("std: %s", tls.VersionName(version))
	}
	if err != nil {
		return nil, err
	}
	return record.NewSession(in, out, w.client)
}

var errNoSecrets = errors.New("std: crypto/tls did not tell the traffic secrets")

// halves13 are those of the application traffic secrets. The key to read with came into use
// with the peer's Finished, the last record that was read.
func (w *wire) halves13(suite uint16) (in, out *record.Half, err error) {
	if w.log.client == nil || w.log.server == nil {
		return nil, nil, errNoSecrets
	}
	client, err := record.NewTLS13(suite, w.log.client)
	if err != nil {
		return nil, nil, err
	}
	if w.client {
		server, err := record.NewTLS13(suite, w.log.server)
		return server, client, err
	}
	if w.sealed == nil {
		return nil, nil, errors.New("std: crypto/tls wrote nothing after its secrets were known")
	}
	w.sealed.SetSequence(w.sealedCount)
	return client, w.sealed, nil
}

// finishedSize is the size of a Finished of TLS 1.2 with its header.
const finishedSize = 4 + 12

var errAfterFinished = &handshake.Error{
	Alert: handshake.UnexpectedMessage,
	Cause: errors.New("a handshake message behind the Finished"),
}

// halves12 are those of the master secret. Records were counted since the
// change_cipher_spec of their direction.
func (w *wire) halves12(suite uint16) (in, out *record.Half, err error) {
	if w.log.master == nil {
		return nil, nil, errNoSecrets
	}
	if !w.in.changed || !w.out.changed || w.suite() != suite {
		return nil, nil, errors.New("std: the records of the handshake are not as expected")
	}
	_, _, iv, err := record.KeySizes(record.VersionTLS12, suite)
	if err != nil {
		return nil, nil, err
	}
	overhead := 16 // an AEAD's tag
	if iv == 4 {
		overhead += 8 // GCM's explicit nonce
	}
	if in, out, err = w.keys12(suite); err != nil {
		return nil, nil, err
	}
	// What came in one record with the Finished is inside crypto/tls, and would be lost.
	if w.in.handshake != finishedSize+int(w.in.messages)*overhead {
		return nil, nil, errAfterFinished
	}
	in.SetSequence(w.in.count)
	out.SetSequence(w.out.count)
	return in, out, nil
}

// keys12 makes both halves from the master secret and the hellos' randoms.
func (w *wire) keys12(suite uint16) (in, out *record.Half, err error) {
	if w.client {
		out, in, err = halves12(suite, w.log.master, w.out.hello.random(), w.in.hello.random())
	} else {
		in, out, err = halves12(suite, w.log.master, w.in.hello.random(), w.out.hello.random())
	}
	return in, out, err
}
