// CoreDNS with only the plugins that a cluster's DNS needs: the stock build
// links every cloud provider's client and takes minutes longer to compile.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
)

func main() {
	// The order of this list is the order in which a query passes the plugins.
	dnsserver.Directives = []string{"reload", "errors", "health", "ready", "cache", "kubernetes", "loop", "forward"}
	coremain.Run()
}
