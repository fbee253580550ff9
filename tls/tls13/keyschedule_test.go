package tls13

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os/exec"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm3"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The messages of RFC 8448 §3, "Simple 1-RTT Handshake".
const (
	rfc8448ClientHello = `
		010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113031302010000
		910000000b0009000006736572766572ff01000100000a00140012001d001700180019010001010102010301040023000000
		3300260024001d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d
		0020001e040305030603020308040805080604010501060102010402050206020202002d00020101001c00024001`
	rfc8448ServerHello = `
		020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e00330024001d
		0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304`
	rfc8448EncryptedExtensions = `
		080000240022000a00140012001d00170018001901000101010201030104001c0002400100000000`
	rfc8448Certificate = `
		0b0001b9000001b50001b0308201ac30820115a003020102020102300d06092a864886f70d01010b0500300e310c300a0603
		5504031303727361301e170d3136303733303031323335395a170d3236303733303031323335395a300e310c300a06035504
		03130372736130819f300d06092a864886f70d010101050003818d0030818902818100b4bb498f8279303d980836399b36c6
		988c0c68de55e1bdb826d3901a2461eafd2de49a91d015abbc9a95137ace6c1af19eaa6af98c7ced43120998e187a80ee0cc
		b0524b1b018c3e0b63264d449a6d38e22a5fda430846748030530ef0461c8ca9d9efbfae8ea6d1d03e2bd193eff0ab9a8002
		c47428a6d35a8d88d79f7f1e3f0203010001a31a301830090603551d1304023000300b0603551d0f0404030205a0300d0609
		2a864886f70d01010b05000381810085aad2a0e5b9276b908c65f73a7267170618a54c5f8a7b337d2df7a594365417f2eae8
		f8a58c8f8172f9319cf36b7fd6c55b80f21a03015156726096fd335e5e67f2dbf102702e608ccae6bec1fc63a42a99be5c3e
		b7107c3c54e9b9eb2bd5203b1c3b84e0a8b2f759409ba3eac9d91d402dcc0cc8f8961229ac9187b42b4de10000`
	rfc8448CertificateVerify = `
		0f000084080400805a747c5d88fa9bd2e55ab085a61015b7211f824cd484145ab3ff52f1fda8477b0b7abc90db78e2d33a5c
		141a078653fa6bef780c5ea248eeaaa785c4f394cab6d30bbe8d4859ee511f602957b15411ac027671459e46445c9ea58c18
		1e818e95b8c3fb0bf3278409d3be152a3da5043e063dda65cdf5aea20d53dfacd42f74f3`
	rfc8448ServerFinished = `140000209b9b141d906337fbd2cbdce71df4deda4ab42c309572cb7fffee5454b78f0718`
	rfc8448ClientFinished = `14000020a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61`
)

// TestKeyScheduleRFC8448 computes the secrets of RFC 8448 §3 from its messages and its shared
// secret. The RFC has SHA-256 as its hash; ours differs in that alone.
func TestKeyScheduleRFC8448(t *testing.T) {
	want := func(name string, got []byte, expected string) {
		t.Helper()
		if !bytes.Equal(got, unhex(t, expected)) {
			t.Errorf("%s: %x", name, got)
		}
	}
	k, messages := newKeySchedule(sha256.New, nil), newTranscript(sha256.New)
	want("early", k.secret, "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a")
	k.toHandshake(unhex(t, "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"))
	want("handshake", k.secret, "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac")

	messages.add(unhex(t, rfc8448ClientHello))
	messages.add(unhex(t, rfc8448ServerHello))
	client, server := k.derive(clientHandshakeTraffic, messages.sum()), k.derive(serverHandshakeTraffic, messages.sum())
	want("c hs traffic", client, "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21")
	want("s hs traffic", server, "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38")

	messages.add(unhex(t, rfc8448EncryptedExtensions))
	messages.add(unhex(t, rfc8448Certificate))
	messages.add(unhex(t, rfc8448CertificateVerify))
	want("server Finished", must(newFinished(finishedMAC(sha256.New, server, messages.sum()))), rfc8448ServerFinished)
	messages.add(unhex(t, rfc8448ServerFinished))
	want("client Finished", must(newFinished(finishedMAC(sha256.New, client, messages.sum()))), rfc8448ClientFinished)

	k.toMaster()
	want("master", k.secret, "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919")
	want("c ap traffic", k.derive(clientApplicationTraffic, messages.sum()), "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5")
	want("s ap traffic", k.derive(serverApplicationTraffic, messages.sum()), "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643")

	messages.add(unhex(t, rfc8448ClientFinished))
	resumption := k.derive(resumptionMaster, messages.sum())
	want("res master", resumption, "7df235f2031d2a051287d02b0241b0bfdaf86cc856231f2d5aba46c434ec196c")
	psk := resumptionPSK(sha256.New, resumption, []byte{0, 0})
	want("resumption PSK", psk, "4ecd0eb6ec3b4d87f5d6028f922ca4c5851a277fd41311c9e62d2c9492e1c4f3")
	want("early secret of the next handshake (RFC 8448 §4)", newKeySchedule(sha256.New, psk).secret,
		"9b2188e9b2fc6d64d71dc329900e20bb41915000f678aa839cbb797cb7d8332c")
}

// The ClientHello of RFC 8448 §4, "Resumed 0-RTT Handshake", in two parts around its padding.
const (
	rfc8448Resumed = `
		010001fc03031bc3ceb6bbe39cff938355b5a50adb6db21b7a6af649d7b4bc419d7876487d95000006130113031302010001
		cd0000000b0009000006736572766572ff01000100000a00140012001d001700180019010001010102010301040033002600
		24001d0020e4ffb68ac05f8d96c99da26698346c6be16482badddafe051a66b4f18d668f0b002a0000002b0003020304000d
		0020001e040305030603020308040805080604010501060102010402050206020202002d00020101001c0002400100150057`
	rfc8448ResumedPSK = `
		002900dd00b800b22c035d829359ee5ff7af4ec900000000262a6494dc486d2c8a34cb33fa90bf1b0070ad3c498883c9367c
		09a2be785abc55cd226097a3a982117283f82a03a143efd3ff5dd36d64e861be7fd61d2827db279cce145077d454a3664d4e
		6da4d29ee03725a6a4dafcd0fc67d2aea70529513e3da2677fa5906c5b3f7d8f92f228bda40dda721470f9fbf297b5aea617
		646fac5c03272e970727c621a79141ef5f7de6505e5bfbc388e93343694093934ae4d357fad6aacb
		0021203add4fb2d8fdf822a0ca3cf7678ef5e88dae990141c5924d57bb6fa31b9e5f9d`
)

// TestBinderRFC8448 checks the binder of that hello.
func TestBinderRFC8448(t *testing.T) {
	h, err := parseClientHello(unhex(t, rfc8448Resumed+strings.Repeat("00", 0x57)+rfc8448ResumedPSK))
	if err != nil {
		t.Fatal(err)
	}
	if len(h.psks) != 1 || len(h.psks[0].identity) != 0xB2 || h.psks[0].obfuscatedAge != 0xFAD6AACB || !h.earlyData {
		t.Fatalf("%d PSKs, early data %v", len(h.psks), h.earlyData)
	}
	k := newKeySchedule(sha256.New, unhex(t, "4ecd0eb6ec3b4d87f5d6028f922ca4c5851a277fd41311c9e62d2c9492e1c4f3"))
	messages := newTranscript(sha256.New)
	if got := finishedMAC(sha256.New, k.binderKey(), messages.sumTruncated(h.truncated())); !equalMAC(got, h.psks[0].binder) {
		t.Errorf("binder: %x, want %x", got, h.psks[0].binder)
	}
	want := unhex(t, "3fbbe6a60deb66c30a32795aba0eff7eaa10105586e7be5c09678d63b6caab62")
	if got := k.derive(clientEarlyTraffic, messages.sumTruncated(h.raw)); !bytes.Equal(got, want) {
		t.Errorf("c e traffic: %x, want %x", got, want)
	}
}

// TestKeyScheduleSM3 compares the steps of the key schedule, with SM3, with OpenSSL's.
func TestKeyScheduleSM3(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is needed: make setup installs it")
	}
	kdf := func(options ...string) []byte {
		t.Helper()
		args := []string{"kdf", "-keylen", "32", "-kdfopt", "digest:SM3", "-kdfopt", "prefix:tls13 "}
		for _, option := range options {
			args = append(args, "-kdfopt", option)
		}
		out, err := exec.Command(openssl, append(args, "TLS13-KDF")...).Output()
		if err != nil {
			t.Fatalf("openssl kdf %v: %v", options, err)
		}
		return unhex(t, strings.ReplaceAll(string(out), ":", ""))
	}
	shared := bytes.Repeat([]byte{0x5A}, 32)
	hash := sm3.Sum([]byte("what was said"))

	k := newKeySchedule(sm3.New, nil)
	early := kdf("mode:EXTRACT_ONLY")
	if !bytes.Equal(k.secret, early) {
		t.Fatalf("early: %x, OpenSSL: %x", k.secret, early)
	}
	k.toHandshake(shared)
	// OpenSSL's KDF is the "derived" step and the extraction in one.
	hs := kdf("mode:EXTRACT_ONLY", "hexsalt:"+hex.EncodeToString(early), "hexkey:"+hex.EncodeToString(shared), "label:derived")
	if !bytes.Equal(k.secret, hs) {
		t.Fatalf("handshake: %x, OpenSSL: %x", k.secret, hs)
	}
	traffic := kdf("mode:EXPAND_ONLY", "hexkey:"+hex.EncodeToString(hs), "label:"+clientHandshakeTraffic, "hexdata:"+hex.EncodeToString(hash[:]))
	if got := k.derive(clientHandshakeTraffic, hash[:]); !bytes.Equal(got, traffic) {
		t.Errorf("c hs traffic: %x, OpenSSL: %x", got, traffic)
	}
	k.toMaster()
	master := kdf("mode:EXTRACT_ONLY", "hexsalt:"+hex.EncodeToString(hs), "label:derived")
	if !bytes.Equal(k.secret, master) {
		t.Errorf("master: %x, OpenSSL: %x", k.secret, master)
	}
}

// TestTranscriptRetry is the message_hash of RFC 8446 §4.4.1.
func TestTranscriptRetry(t *testing.T) {
	messages := newTranscript(sm3.New)
	messages.add([]byte("first hello"))
	messages.retry([]byte("request"))
	first := sm3.Sum([]byte("first hello"))
	said := append([]byte{254, 0, 0, 32}, first[:]...)
	said = append(said, "request"...)
	if want := sm3.Sum(append(bytes.Clone(said), "second"...)); !bytes.Equal(messages.sumTruncated([]byte("second")), want[:]) {
		t.Error("what a binder covers after a retry")
	}
	messages.add([]byte("second hello"))
	if want := sm3.Sum(append(said, "second hello"...)); !bytes.Equal(messages.sum(), want[:]) {
		t.Error("the transcript after a retry")
	}
}
