//go:build linux

// Command vmruntime is an OCI runtime for tests, which starts each container in a machine of its own: QEMU, without
// the help of a processor that can virtualize, with a Linux kernel that is not the node's. Around it is runc.
//
// It is NOT Kata, and protects from nothing that one should rely on. There is no agent and no network in the
// machine, no volume of the pod is mounted in it, `exec` and ephemeral containers are refused, and a pod is
// Running when QEMU is, before the kernel in it is. It shows that a pod of a RuntimeClass really is in another
// kernel than its neighbours.
//
//	main.go     the runtime: what it changes in a container's specification
//	initrd.go   the container's files, as what a kernel starts from
//	guest.go    the same program as the first process in the machine
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	containerType = "io.kubernetes.cri.container-type"
	// memory is what a machine has, in MiB: its RuntimeClass declares it, and what QEMU takes, as overhead.
	memory = "160"
)

func main() {
	if os.Getpid() == 1 {
		if err := beGuest(); err != nil {
			fmt.Println("vmruntime:", err)
		}
		powerOff()
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "vmruntime:", err)
		os.Exit(1)
	}
}

// run changes what is to be created, and leaves the rest to runc.
func run(args []string) error {
	switch {
	case slices.Contains(args, "create"):
		bundle := ""
		for i, arg := range args {
			if arg == "--bundle" && i+1 < len(args) {
				bundle = args[i+1]
			}
		}
		if err := intoMachine(bundle); err != nil {
			return err
		}
	case slices.Contains(args, "exec"):
		return fmt.Errorf("no process can be added to a machine of this test runtime")
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	return syscall.Exec(runc, append([]string{"runc"}, args...), os.Environ()) //nolint:gosec // passing its arguments on is what it is for
}

// specification is the part of a container's specification that is read or changed here.
type specification struct {
	Annotations map[string]string
	Root        struct{ Path string }
	Process     struct {
		Args, Env []string
		Cwd       string
	}
	Mounts []mount
}

type mount struct {
	Destination string   `json:"destination"`
	Type        string   `json:"type,omitempty"`
	Source      string   `json:"source,omitempty"`
	Options     []string `json:"options,omitempty"`
}

// intoMachine makes a container's specification one of QEMU that runs the container's files. The container that
// holds a pod's namespaces stays what it is.
func intoMachine(bundle string) error {
	path := filepath.Join(bundle, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	spec := specification{}
	if err := json.Unmarshal(text, &spec); err != nil {
		return err
	}
	if spec.Annotations[containerType] != "container" {
		return nil
	}
	root := spec.Root.Path
	if !filepath.IsAbs(root) {
		root = filepath.Join(bundle, root)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	initrd := filepath.Join(bundle, "initrd")
	if err := writeInitrd(initrd, root, self, spec.Process.Args, spec.Process.Env, spec.Process.Cwd); err != nil {
		return err
	}
	machine := filepath.Join(bundle, "machine")
	if err := prepareMachine(machine); err != nil {
		return err
	}
	spec.Mounts = slices.DeleteFunc(spec.Mounts, func(m mount) bool {
		return m.Destination != "/proc" && m.Destination != "/dev" && m.Destination != "/dev/shm" && m.Destination != "/dev/pts"
	})
	for destination, source := range map[string]string{
		"/usr": "/usr", "/etc": "/etc", "/initrd": initrd, "/vmlinuz": filepath.Join(filepath.Dir(self), "vmlinuz"),
	} {
		spec.Mounts = append(spec.Mounts, mount{Destination: destination, Source: source, Type: "bind", Options: []string{"bind", "ro"}})
	}
	// q35 has a clock that a kernel can measure its own by when the machine is busy; microvm has none.
	args := strings.Fields("/usr/bin/qemu-system-x86_64 -machine q35 -accel tcg -cpu max -smp 1 -m " + memory +
		" -nodefaults -no-user-config -display none -no-reboot -serial stdio -kernel /vmlinuz -initrd /initrd -append")
	args = append(args, "console=ttyS0 quiet loglevel=1 panic=-1 rdinit=/"+guestProgram)
	return change(path, text, spec.Mounts, map[string]any{"path": machine}, args)
}

// change writes a specification with another root, mounts and command. What it does not know of it leaves as it is.
func change(path string, text []byte, mounts []mount, root map[string]any, args []string) error {
	all := map[string]any{}
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	process, ok := all["process"].(map[string]any)
	if !ok {
		return fmt.Errorf("%s has no process", path)
	}
	process["args"], process["cwd"], process["env"] = args, "/", []string{"PATH=/usr/bin"}
	process["user"] = map[string]any{"uid": 0, "gid": 0}
	all["root"], all["mounts"] = root, mounts
	// The container's limit is for what runs in the machine; the machine itself is the pod's overhead.
	if linux, ok := all["linux"].(map[string]any); ok {
		if resources, ok := linux["resources"].(map[string]any); ok {
			delete(resources, "memory")
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// prepareMachine makes the root of the container that QEMU runs in. /usr of the node is mounted in it.
func prepareMachine(root string) error {
	for _, folder := range []string{"usr", "etc", "proc", "dev", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil { //nolint:gosec // a root folder
			return err
		}
	}
	for _, link := range []string{"bin", "lib", "lib64", "sbin"} {
		if err := os.Symlink("usr/"+link, filepath.Join(root, link)); err != nil {
			return err
		}
	}
	for _, file := range []string{"initrd", "vmlinuz"} {
		if err := os.WriteFile(filepath.Join(root, file), nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}
