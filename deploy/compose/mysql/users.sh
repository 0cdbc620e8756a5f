#!/bin/bash
# The record's database and users. MySQL runs this at its very first start; after new passwords run it by hand:
#   docker compose exec mysql /docker-entrypoint-initdb.d/users.sh
set -euo pipefail
/docker-entrypoint-initdb.d/as-root mysql < /secrets/users.sql
