// Stands in for host-local's own main.go, so that its suite calls a program instead of functions in its own process.
//
// IRONKEEL_CNI is the folder of the program.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
)

func main() {}

func cmdAdd(args *skel.CmdArgs) error   { return call("ADD", args) }
func cmdDel(args *skel.CmdArgs) error   { return call("DEL", args) }
func cmdCheck(args *skel.CmdArgs) error { return call("CHECK", args) }

// call runs the program as a runtime does and passes its answer, or its error object, on.
func call(verb string, args *skel.CmdArgs) error {
	program := exec.Command(filepath.Join(os.Getenv("IRONKEEL_CNI"), "host-local"))
	program.Env = []string{
		"CNI_COMMAND=" + verb,
		"CNI_CONTAINERID=" + args.ContainerID,
		"CNI_NETNS=" + args.Netns,
		"CNI_IFNAME=" + args.IfName,
		"CNI_ARGS=" + args.Args,
		"CNI_PATH=" + os.Getenv("IRONKEEL_CNI"),
	}
	program.Stdin = bytes.NewReader(args.StdinData)
	answer, err := program.Output()
	if err == nil {
		_, err = os.Stdout.Write(answer)
		return err
	}
	told := &types.Error{}
	if json.Unmarshal(answer, told) != nil || told.Msg == "" {
		return fmt.Errorf("%w: %s", err, answer)
	}
	return told
}
