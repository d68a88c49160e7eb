#!/usr/bin/env python3
"""The service under a real systemd, booted in a container.

    python3 spec/systemd/run.py --deb build/deb [SCENARIO...]

Installs the package there and runs the scenarios (--list names them), each with a daemon of its own. The last line is
"N passed, N failed, N skipped". Where the machine allows no container, one line says why, and nothing has failed."""
import argparse
import glob
import os
import signal
import sys
import time
import traceback

import container
import scenarios
import accepting  # pylint: disable=unused-import
import storing  # pylint: disable=unused-import


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deb", required=True, help="the folder that make deb has filled")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help="run these only")
    options = parser.parse_args()
    unknown = set(options.names) - set(scenarios.ALL)
    if unknown:
        parser.error("no scenario %s; there are: %s" % (" ".join(sorted(unknown)), " ".join(scenarios.ALL)))
    return options


def run_one(box, name):
    since = "@%d" % time.time()
    try:
        scenarios.begin(box)
        scenarios.ALL[name](box)
    except Exception as error:  # pylint: disable=broad-except
        print("failed: %s: %s" % (name, error or type(error).__name__))
        traceback.print_exc(limit=-3)
        print(box.run("journalctl", "--no-pager", "--since", since, "-u", "moonwire*", check=False))
        return False
    print("passed: %s" % name, flush=True)
    return True


def main():
    options = parse()
    if options.list:
        print("\n".join(scenarios.ALL))
        return 0
    # Whoever ends this still has everything unmounted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    packages = glob.glob(os.path.join(options.deb, "*.deb"))
    if len(packages) != 1:
        sys.exit("%s: one package expected, found %d; make deb packs it" % (options.deb, len(packages)))
    if container.why_not():
        container.unable(container.why_not())
    names = options.names or list(scenarios.ALL)
    try:
        with container.Container() as box:
            box.copy(packages[0], scenarios.PACKAGE)
            scenarios.install(box)
            results = [run_one(box, name) for name in names]
    except container.Unable as reason:
        container.unable(reason)
    print("%d passed, %d failed, 0 skipped" % (results.count(True), results.count(False)))
    return int(False in results)


if __name__ == "__main__":
    sys.exit(main())
