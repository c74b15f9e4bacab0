// Reads alerting rules from standard input and says what Prometheus would not take of them, with Prometheus' own code:
// fields, expressions and templates.
package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	rules, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	nothing := slog.New(slog.DiscardHandler)
	groups, errors := rulefmt.Parse(rules, false, model.LegacyValidation, parser.NewParser(parser.Options{}), nothing)
	for _, err := range errors {
		fmt.Fprintln(os.Stderr, err)
	}
	if len(errors) > 0 {
		os.Exit(1)
	}
	count := 0
	for _, group := range groups.Groups {
		count += len(group.Rules)
	}
	fmt.Println(count)
}
