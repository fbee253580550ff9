package command

import (
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/emmansun/gmsm/smx509"
)

// certFiles are files to write; all are made before the first is written.
type certFiles struct {
	force    bool
	files    []certFile
	signedBy string // the authority's file
}

type certFile struct {
	path  string
	mode  fs.FileMode
	about string
	text  []byte
}

// refuse says which of the files are there already.
func (f *certFiles) refuse(paths []string) error {
	if f.force {
		return nil
	}
	var there []string
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			there = append(there, path)
		}
	}
	switch len(there) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s is there already; --force replaces it", there[0])
	}
	return fmt.Errorf("%s are there already; --force replaces them", strings.Join(there, ", "))
}

func (f *certFiles) add(path string, mode fs.FileMode, about string, text []byte) {
	f.files = append(f.files, certFile{path, mode, about, text})
}

func (f *certFiles) addKey(path string, key crypto.Signer) error {
	der, err := smx509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding a key: %w", err)
	}
	f.add(path, 0o600, "its key (mode 0600)", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return nil
}

// write writes every file whole or not at all, keys first: a certificate without its key is of
// no use.
func (f *certFiles) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, keys := range []bool{true, false} {
		for _, file := range f.files {
			if (file.mode == 0o600) != keys {
				continue
			}
			if err := file.write(f.force); err != nil {
				return err
			}
		}
	}
	return nil
}

// write puts the text beside its place, readable by the owner alone from the start, and then
// there: by a link, which fails if another file came first, or by a rename that replaces it.
func (f *certFile) write(force bool) (err error) {
	temporary, err := os.CreateTemp(filepath.Dir(f.path), ".longmen-cert-*")
	if err != nil {
		return err
	}
	defer func() {
		if gone := os.Remove(temporary.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}()
	_, err = temporary.Write(f.text)
	err = errors.Join(err, temporary.Chmod(f.mode), temporary.Sync(), temporary.Close())
	if err != nil {
		return err
	}
	if force {
		return os.Rename(temporary.Name(), f.path)
	}
	return os.Link(temporary.Name(), f.path)
}
