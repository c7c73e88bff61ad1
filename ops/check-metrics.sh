#!/bin/sh
# Asks Prometheus' own promtool what it thinks of the rules, the configuration, the tests of the rules and, for each origin
# that is named, of the metrics that are served there: ops/check-metrics.sh http://127.0.0.1:8080 …
# With METRICS_TOKEN set the metrics are asked for with it. promtool comes with Debian's package `prometheus`.
set -eu
cd "$(dirname "$0")/prometheus"

promtool check rules alerts.yml
# The file of the token is the operator's: only the syntax can be checked here.
promtool check config --syntax-only prometheus.yml
promtool test rules alerts.test.yml

for origin in "$@"; do
  scrape=$(mktemp)
  node -e '
    const [origin] = process.argv.slice(1);
    const token = process.env.METRICS_TOKEN;
    const answer = await fetch(`${origin}/metrics`, { headers: token ? { authorization: `Bearer ${token}` } : {} });
    if (!answer.ok) throw new Error(`${origin}/metrics answers ${answer.status}`);
    process.stdout.write(await answer.text());
  ' --input-type=module "$origin" >"$scrape"
  promtool check metrics <"$scrape"
  echo "$origin: $(grep -c '^# TYPE' "$scrape") metrics are sound"
  rm -f "$scrape"
done
