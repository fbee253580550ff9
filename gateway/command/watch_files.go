package command

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// fileStamp tells whether a file is another one than before. The zero stamp is a
// file that is not there.
type fileStamp struct {
	size, modified int64
	inode          uint64
}

// stampFiles looks at files whose content belongs to a configuration. It does so
// before they are read: what changes after that shows.
func stampFiles(names []string) map[string]fileStamp {
	stamps := make(map[string]fileStamp, len(names))
	for _, name := range names {
		stamps[name] = stampOf(name)
	}
	return stamps
}

func stampOf(name string) fileStamp {
	var info unix.Stat_t
	if err := unix.Stat(name, &info); err != nil {
		return fileStamp{}
	}
	return fileStamp{size: info.Size, modified: info.Mtim.Nano(), inode: info.Ino}
}

// use watches the files that the configuration names, in place of those before.
func (w *watcher) use(files map[string]fileStamp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files, w.names = files, map[string]bool{}
	folders := map[string]bool{}
	for name := range files {
		folders[filepath.Dir(name)] = true
		w.names[filepath.Base(name)] = true
		// A link is swapped where it is, or leads to a file that is edited where that is.
		if info, err := os.Lstat(name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			if real, err := filepath.EvalSymlinks(name); err == nil {
				folders[filepath.Dir(real)] = true
				w.names[filepath.Base(real)] = true
			}
		}
	}
	for folder := range w.folders {
		if !folders[folder] && folder != filepath.Dir(w.file) && folder != w.target {
			_ = w.events.Remove(folder) // an error means that it went by itself
		}
	}
	for folder := range folders {
		if err := w.events.Add(folder); err != nil && !w.folders[folder] {
			w.log.Warn("watching files of the configuration; SIGHUP reads them again", "directory", folder, "error", err)
		}
	}
	w.folders = folders
	select {
	case w.again <- struct{}{}: // something may have changed before the watch began
	default:
	}
}

// filesChanged reports, once for each change, whether a file that the
// configuration names is another one.
func (w *watcher) filesChanged() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	var now map[string]fileStamp // nil while nothing has changed: ten thousand names need no second map
	for name, before := range w.files {
		stamp := stampOf(name)
		if stamp == before {
			continue
		}
		if now == nil {
			now = maps.Clone(w.files) // which others may hold
		}
		now[name] = stamp
	}
	if now == nil {
		return false
	}
	w.files = now
	return true
}

// ours reports whether a file of that name is one that the configuration names.
func (w *watcher) ours(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.names[name]
}

// watchesFor reports whether a folder is watched for files that the configuration
// names.
func (w *watcher) watchesFor(folder string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.folders[folder]
}
