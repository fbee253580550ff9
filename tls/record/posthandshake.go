package record

import "slices"

// Handshake messages that may come when the handshake is over (RFC 8446 §4.6, RFC 5246 §7.4.1).
const (
	messageHelloRequest     = 0
	messageClientHello      = 1
	messageNewSessionTicket = 4
	messageKeyUpdate        = 24

	messageHeaderSize = 4
)

const (
	// maxTicketMessage bounds a NewSessionTicket. Servers that put a client's whole
	// certificate chain into a ticket send some kilobytes.
	maxTicketMessage = 1 << 16
	// maxRefusedHello bounds the ClientHello of a renegotiation that is refused.
	maxRefusedHello = 1 << 16

	// A key update costs us a key schedule, and its answer another; so it must be paid for
	// with records of data, updateCost of them each, but for the first maxUpdates of them.
	// Peers update after gigabytes or hours.
	updateCost = 8
	maxUpdates = 32
)

// acceptHandshake takes the payload of a handshake record, not empty. Messages may begin, go on
// and end in it.
func (s *Session) acceptHandshake(payload []byte) error {
	for len(payload) > 0 {
		if s.skip > 0 {
			n := min(s.skip, len(payload))
			s.skip -= n
			payload = payload[n:]
			continue
		}
		if len(s.hand) == 0 && len(payload) >= messageHeaderSize {
			size, err := s.messageSize(payload)
			if err != nil {
				return err
			}
			if s.Version() == VersionTLS13 && len(payload) >= size { // the usual case: no copy
				if err := s.acceptMessage(payload[:size], len(payload) == size); err != nil {
					return err
				}
				payload = payload[size:]
				continue
			}
		}
		missing := messageHeaderSize - len(s.hand)
		if missing <= 0 {
			size, err := s.messageSize(s.hand)
			if err != nil {
				return err
			}
			missing = size - len(s.hand)
		}
		n := min(missing, len(payload))
		s.hand = append(s.hand, payload[:n]...)
		payload = payload[n:]
		if err := s.acceptParts(len(payload) == 0); err != nil {
			return err
		}
	}
	return nil
}

// acceptParts takes the message in s.hand if it is whole. last says that the record ends here.
func (s *Session) acceptParts(last bool) error {
	if len(s.hand) < messageHeaderSize {
		return nil
	}
	size, err := s.messageSize(s.hand)
	if err != nil {
		return err
	}
	if s.Version() != VersionTLS13 {
		s.hand, s.skip = nil, size-messageHeaderSize
		s.refusal = true
		return nil
	}
	if len(s.hand) < size {
		return nil
	}
	message := s.hand
	s.hand = nil
	return s.acceptMessage(message, last)
}

// messageSize is the size of the message that begins in p, which has a header, with that
// header. It is an error if no such message may come.
func (s *Session) messageSize(p []byte) (int, error) {
	n := int(p[1])<<16 | int(p[2])<<8 | int(p[3])
	size, most := n+messageHeaderSize, 0
	switch typ := p[0]; {
	case s.Version() != VersionTLS13 && !s.client && typ == messageClientHello:
		most = maxRefusedHello
	case s.Version() != VersionTLS13 && s.client && typ == messageHelloRequest:
		most = messageHeaderSize
	case s.Version() == VersionTLS13 && typ == messageKeyUpdate:
		most = messageHeaderSize + 1
		if n != 1 {
			return 0, errMessageLength
		}
	case s.Version() == VersionTLS13 && s.client && typ == messageNewSessionTicket:
		most = maxTicketMessage
	default:
		return 0, errMessage
	}
	if size > most {
		return 0, errMessageLength
	}
	return size, nil
}

// acceptMessage takes a whole message of TLS 1.3. last says that its record ends with it.
func (s *Session) acceptMessage(message []byte, last bool) error {
	if message[0] == messageNewSessionTicket {
		if s.tickets != nil {
			s.tickets(message)
		}
		return nil
	}
	switch body := message[messageHeaderSize]; {
	case body > 1:
		return errUpdateForm
	case !last:
		return errUpdateEnd // the next bytes would be under two keys (RFC 8446 §5.1)
	default:
		s.answer = s.answer || body == 1
	}
	if s.updates += updateCost; s.updates > updateCost*maxUpdates {
		return errKeyUpdates
	}
	s.in.update()
	return nil
}

// updateKey appends a KeyUpdate and goes on to the next key.
func (s *Session) updateKey(dst []byte) []byte {
	message := [...]byte{messageKeyUpdate, 0, 0, 1, 0} // update_not_requested
	dst = s.out.Seal(slices.Grow(dst, s.out.sealedSize(len(message))), TypeHandshake, message[:])
	s.out.update()
	return dst
}
