package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

var (
	errToken      = errors.New("the authority's token is not of base64url")
	errIdentifier = errors.New("the authority's challenge is for something that was not ordered")
	errAccountKey = errors.New("the stored account has no key that can sign")
)

// An account in the storage; its key in PEM.
type storedAccount struct {
	Account acme.Account
	Key     string
}

// accountKey is where the account with an authority is stored: one for an
// address, and for an external account.
func (i *issuer) accountKey() string {
	who := sha256.Sum256([]byte(i.settings.Email + "\x00" + i.settings.External.ID))
	directory := (&certmagic.ACMEIssuer{CA: i.settings.Directory}).IssuerKey()
	return path.Join("acme", certmagic.StorageKeys.Safe(directory), "account-"+hex.EncodeToString(who[:8])+".json")
}

// account gives the account that orders are made with, registered if need be. The
// account that refused was, is not used again.
func (i *issuer) account(ctx context.Context, client *acmez.Client, refused string) (account acme.Account, err error) {
	if account, err = i.load(ctx); err == nil && account.Location != refused || err != nil && !missing(err) {
		return account, err
	}
	lock := "register_" + path.Base(i.accountKey())
	if err := i.storage.Lock(ctx, lock); err != nil {
		return account, fmt.Errorf("the storage cannot be locked: %w", err)
	}
	defer func() {
		err = errors.Join(err, i.storage.Unlock(context.WithoutCancel(ctx), lock))
	}()
	if account, err = i.load(ctx); err == nil && account.Location != refused || err != nil && !missing(err) {
		return account, err // another one was quicker
	}
	return i.register(ctx, client)
}

func (i *issuer) load(ctx context.Context) (acme.Account, error) {
	text, err := i.storage.Load(ctx, i.accountKey())
	if err != nil {
		return acme.Account{}, err
	}
	var s storedAccount
	if err := json.Unmarshal(text, &s); err != nil {
		return acme.Account{}, fmt.Errorf("the stored account cannot be read: %w", err)
	}
	key, err := certmagic.PEMDecodePrivateKey([]byte(s.Key))
	if err != nil {
		return acme.Account{}, errAccountKey // the cause may quote the key
	}
	s.Account.PrivateKey = key
	return s.Account, nil
}

// register makes a new account, whose terms the configuration agrees to.
func (i *issuer) register(ctx context.Context, client *acmez.Client) (acme.Account, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return acme.Account{}, err
	}
	text, err := certmagic.PEMEncodePrivateKey(key)
	if err != nil {
		return acme.Account{}, err
	}
	account := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if i.settings.Email != "" {
		account.Contact = []string{"mailto:" + i.settings.Email}
	}
	if e := i.settings.External; e.ID != "" {
		if err := account.SetExternalAccountBinding(ctx, client.Client, acme.EAB{KeyID: e.ID, MACKey: e.MAC}); err != nil {
			return acme.Account{}, fmt.Errorf("external account: %w", err)
		}
	}
	if account, err = client.NewAccount(ctx, account); err != nil {
		return acme.Account{}, fmt.Errorf("no account was registered: %w", err)
	}
	saved, err := json.MarshalIndent(storedAccount{Account: account, Key: string(text)}, "", "\t")
	if err != nil {
		return acme.Account{}, err
	}
	i.log.Info("registered with an ACME authority", "directory", i.settings.Directory, "account", account.Location, "contact", i.settings.Email)
	return account, i.storage.Store(ctx, i.accountKey(), saved)
}
