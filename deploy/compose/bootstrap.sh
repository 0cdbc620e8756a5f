#!/bin/sh
# Makes the secrets and rights of the stack (once; run again it keeps them), and gives each file to its one reader's
# group. Runs as their owner, without any capability: it is a member of every group that it gives to.
set -eu
cd /secrets
securitybot bootstrap --into .
give() { # GROUP FILE...
    group=$1; shift
    chgrp "$group" "$@"
    chmod 0640 "$@"
}
give 10011 amqp_url_ingest database_url_ingest
give 10012 amqp_url_dispatcher database_url_dispatcher history_key
give 10013 amqp_url_chat_gateway database_url_chat_gateway
give 10014 amqp_url_auth_poller database_url_auth_poller
give 10015 amqp_url_console database_url_console
give 10016 amqp_url_admin database_url_admin amqp_url_publisher
give 10021 definitions.json
give 10022 mysql_root users.sql
