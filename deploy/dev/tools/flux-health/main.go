// Says what Flux makes of an object, with Flux's own code: the expressions of a Kustomization
// where there are some for its kind, else kstatus.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type question struct {
	Object      unstructured.Unstructured         `json:"object"`
	Expressions *kustomize.HealthCheckExpressions `json:"expressions"`
}

func main() {
	result, err := answer()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(result.Status)
}

func answer() (*status.Result, error) {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return nil, err
	}
	if asked.Expressions == nil {
		return status.Compute(&asked.Object)
	}
	evaluator, err := cel.NewStatusEvaluator(asked.Expressions)
	if err != nil {
		return nil, err
	}
	result, err := evaluator.Evaluate(context.Background(), &asked.Object)
	if err != nil {
		// So Flux's reader of statuses takes it, and waits.
		return &status.Result{Status: status.UnknownStatus, Message: err.Error()}, nil
	}
	return result, nil
}
