// Stands in for the suite's own file, so that it calls a program that is there instead of building its own.
//
// IRONKEEL_CNI is the folder of the program.
package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
)

var pathToLoPlugin = filepath.Join(os.Getenv("IRONKEEL_CNI"), "loopback")

func TestLoopback(t *testing.T) {
	gomega.RegisterFailHandler(ginkgo.Fail)
	ginkgo.RunSpecs(t, "loopback")
}
