// Every Kubernetes program that the embedded cluster needs, in one binary: most of their code is the same, so this
// builds and loads several times faster than six. The name it is called by (a link, or the first argument) says which
// program it is to be.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	kubeapiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	kubecontrollermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kubeproxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubescheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	// What the programs' own main packages import for the effect.
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

func program(name string) *cobra.Command {
	switch name {
	case "kube-apiserver":
		return kubeapiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		return kubecontrollermanager.NewControllerManagerCommand()
	case "kube-scheduler":
		return kubescheduler.NewSchedulerCommand()
	case "kube-proxy":
		return kubeproxy.NewProxyCommand()
	case "kubelet":
		return kubelet.NewKubeletCommand(context.Background())
	case "kubectl":
		return kubectl.NewDefaultKubectlCommand()
	}
	return nil
}

func main() {
	os.Args[0] = filepath.Base(os.Args[0])
	command := program(os.Args[0])
	if command == nil && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		command = program(os.Args[0])
	}
	switch {
	case command == nil:
		fmt.Fprintln(os.Stderr, "usage: kube PROGRAM [ARGUMENT...]")
		os.Exit(2)
	case os.Args[0] == "kubectl":
		util.CheckErr(cli.RunNoErrOutput(command))
	default:
		os.Exit(cli.Run(command))
	}
}
