//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The names that the guest's first process has in the container's files, and its instructions.
const (
	guestProgram = ".vmruntime"
	guestCommand = ".vmruntime.json"
)

type command struct {
	Args, Env []string
	Dir       string
}

// writeInitrd writes the files of a container, this program and what it is to run, in the format that
// Linux starts from: cpio, "newc".
func writeInitrd(path, root, self string, args, env []string, dir string) error {
	var archive initrd
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil || name == "." {
			return err
		}
		return archive.add(name, path, entry)
	})
	if err != nil {
		return err
	}
	program, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	what, err := json.Marshal(command{args, env, dir})
	if err != nil {
		return err
	}
	archive.entry(guestProgram, 0o100755, program)
	archive.entry(guestCommand, 0o100644, what)
	archive.entry("TRAILER!!!", 0, nil)
	return os.WriteFile(path, archive.Bytes(), 0o600)
}

type initrd struct {
	bytes.Buffer

	files uint32
}

// Modes as in stat(2).
const (
	modeFolder  = 0o040000
	modeFile    = 0o100000
	modeSymlink = 0o120000
)

// add adds what is at a path. Devices are left out: the kernel brings its own.
func (a *initrd) add(name, path string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	permissions := uint32(info.Mode().Perm())
	switch {
	case entry.IsDir():
		a.entry(name, modeFolder|permissions, nil)
	case entry.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		a.entry(name, modeSymlink|permissions, []byte(target))
	case entry.Type().IsRegular():
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		a.entry(name, modeFile|permissions, content)
	}
	return nil
}

func (a *initrd) entry(name string, mode uint32, content []byte) {
	a.files++
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.files, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	_, _ = a.WriteString(name + "\x00")
	a.pad()
	_, _ = a.Write(content)
	a.pad()
}

func (a *initrd) pad() {
	for a.Len()%4 != 0 {
		_ = a.WriteByte(0)
	}
}
