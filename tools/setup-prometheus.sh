#!/bin/sh
# Unpacks Prometheus and promtool of the distribution into build/deps/prometheus, for tests/e2e/test_monitor.py. Nothing
# is installed: the package would start a service. Called again it does nothing.
set -eu
folder=$(cd "$(dirname "$0")/.." && pwd)/build/deps/prometheus
[ -x "$folder/usr/bin/prometheus" ] && exit 0
mkdir -p "$folder"
cd "$folder"
apt-get -q download prometheus
dpkg-deb -x prometheus_*.deb .
rm -f prometheus_*.deb
