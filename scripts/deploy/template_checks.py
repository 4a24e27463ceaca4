"""All checks of template.yaml that need no emulator. Each can also be run alone: `scripts/lib/python scripts/deploy/rules.py`."""

import sys

import alarms
import deploy_role
import gateway
import log_groups
import order
import rules
import runbook
import settings
import versions

CHECKS = (versions, order, gateway, rules, log_groups, alarms, runbook, deploy_role, settings)

if __name__ == "__main__":
    # All of them, also if one fails.
    sys.exit(max([check.main() for check in CHECKS]))
