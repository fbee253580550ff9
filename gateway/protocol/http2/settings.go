package http2

import "encoding/binary"

// The identifiers of settings (RFC 9113 section 6.5.2, RFC 8441, RFC 9218).
const (
	settingHeaderTable      = 0x1
	settingEnablePush       = 0x2
	settingMaxStreams       = 0x3
	settingInitialWindow    = 0x4
	settingMaxFrame         = 0x5
	settingMaxHeaderList    = 0x6
	settingConnectProtocol  = 0x8
	settingNoPriorities7540 = 0x9
	defaultWindow           = 65535
	defaultHeaderTable      = 4096
	maxSettings             = 32 // entries of one frame that are taken
	unlimitedStreams        = 1<<32 - 1
)

// peerSettings are what the other side announced.
type peerSettings struct {
	headerTable     uint32
	maxStreams      uint32
	initialWindow   int32
	maxFrame        int32
	connectProtocol bool
	seen            bool // its first SETTINGS came
}

func (s *peerSettings) reset() {
	*s = peerSettings{headerTable: defaultHeaderTable, maxStreams: unlimitedStreams, initialWindow: defaultWindow, maxFrame: maxFrame}
}

// appendSetting appends one entry of a SETTINGS frame.
func appendSetting(dst []byte, id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(dst, id), value)
}

// onSettings takes a SETTINGS frame.
func (c *conn) onSettings(h frameHeader, p []byte) *ConnError {
	switch {
	case h.id != 0:
		return broke(CodeProtocol, "SETTINGS on a stream")
	case h.flags&flagAck != 0:
		if len(p) != 0 {
			return broke(CodeFrameSize, "SETTINGS acknowledgement with a payload")
		}
		if c.settled {
			return c.glitch() // nobody asked
		}
		c.settled = true
		c.dec.Confirm()
		return nil
	case len(p)%6 != 0:
		return broke(CodeFrameSize, "SETTINGS of a length that is no multiple of 6")
	case len(p) > 6*maxSettings:
		return broke(CodeEnhanceYourCalm, "SETTINGS with too many entries")
	}
	if e := c.glitch(); e != nil && c.peer.seen {
		return e
	}
	first := !c.peer.seen
	c.peer.seen = true
	for ; len(p) > 0; p = p[6:] {
		if e := c.setting(binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])); e != nil {
			return e
		}
	}
	c.Commit(appendFrame(c.Reserve(headerLen), 0, frameSettings, flagAck, 0))
	c.side.settingsCame(first)
	c.pump()
	return nil
}

func (c *conn) setting(id uint16, v uint32) *ConnError {
	switch id {
	case settingHeaderTable:
		c.peer.headerTable = v
		c.enc.SetMax(v)
	case settingEnablePush:
		if v > 1 || v == 1 && c.client {
			return broke(CodeProtocol, "SETTINGS_ENABLE_PUSH has a value that is not allowed")
		}
	case settingMaxStreams:
		c.peer.maxStreams = v
	case settingInitialWindow:
		if v > maxWindow {
			return broke(CodeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE is too large")
		}
		// It changes the windows of all open streams, which may become negative
		// (RFC 9113 section 6.9.2).
		delta := int64(v) - int64(c.peer.initialWindow)
		c.peer.initialWindow = int32(v)
		return c.shiftWindows(delta)
	case settingMaxFrame:
		if v < maxFrame || v > 1<<24-1 {
			return broke(CodeProtocol, "SETTINGS_MAX_FRAME_SIZE has a value that is not allowed")
		}
		c.peer.maxFrame = int32(v)
	case settingConnectProtocol:
		if v > 1 || v == 0 && c.peer.connectProtocol {
			return broke(CodeProtocol, "SETTINGS_ENABLE_CONNECT_PROTOCOL has a value that is not allowed")
		}
		c.peer.connectProtocol = v == 1
	}
	return nil
}
