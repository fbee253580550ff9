package tls13

import (
	"fmt"
	"io"

	"longmen/tls/handshake"
)

// Labels of the key log format of NSS.
const (
	logClientEarly       = "CLIENT_EARLY_TRAFFIC_SECRET"
	logClientHandshake   = "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
	logServerHandshake   = "SERVER_HANDSHAKE_TRAFFIC_SECRET"
	logClientApplication = "CLIENT_TRAFFIC_SECRET_0"
	logServerApplication = "SERVER_TRAFFIC_SECRET_0"
)

// logSecret writes one line, in one Write, if there is a log.
func logSecret(log io.Writer, label string, clientRandom, secret []byte) error {
	if log == nil {
		return nil
	}
	if _, err := fmt.Fprintf(log, "%s %x %x\n", label, clientRandom, secret); err != nil {
		return handshake.Errorf(handshake.InternalError, "key log: %w", err)
	}
	return nil
}

// logTraffic writes the two secrets of a stage.
func logTraffic(log io.Writer, clientRandom []byte, clientLabel string, client []byte, serverLabel string, server []byte) error {
	if err := logSecret(log, clientLabel, clientRandom, client); err != nil {
		return err
	}
	return logSecret(log, serverLabel, clientRandom, server)
}
