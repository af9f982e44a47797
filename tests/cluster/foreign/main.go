// Reads objects of other projects' kinds from standard input, a JSON List, as these projects' own Go
// types do, strictly: an unknown kind, a field that a kind does not have, or one of another type is
// told and ends it with 1. Defaults, patterns and rules between fields are their CRDs' part.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	gatewayalpha "sigs.k8s.io/gateway-api/apis/v1alpha3"
)

func main() {
	var list struct{ Items []json.RawMessage }
	if err := json.NewDecoder(os.Stdin).Decode(&list); err != nil {
		fmt.Fprintln(os.Stderr, "no List on standard input:", err)
		os.Exit(2)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		certmanager.AddToScheme, monitoring.AddToScheme, gateway.Install, gatewayalpha.Install,
	} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	failed := false
	for _, item := range list.Items {
		if _, kind, err := decoder.Decode(item, nil, nil); err != nil {
			failed = true
			fmt.Println(kind, err)
		}
	}
	if failed {
		os.Exit(1)
	}
}
