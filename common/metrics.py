"""Prometheus metrics of every service; `/metrics` shows them all."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

TAKEN = Counter("securitybot_messages_taken_total", "Deliveries taken from the broker", ["service"])
HANDLED = Counter("securitybot_messages_handled_total", "Messages handled and committed", ["service", "type"])
REPEATED = Counter("securitybot_messages_repeated_total", "Redeliveries that the inbox recognised", ["service"])
FAILED = Counter("securitybot_messages_failed_total", "Handling that failed and was tried again", ["service", "kind"])
QUARANTINED = Counter("securitybot_messages_quarantined_total", "Messages put into the quarantine", ["service"])
BATCH_SIZE = Histogram(
    "securitybot_batch_size", "Messages in a transaction", ["service"], buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500)
)
HANDLE_SECONDS = Histogram(
    "securitybot_handle_seconds",
    "Seconds from taking a batch to its acknowledgement",
    ["service"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
PUBLISHED = Counter("securitybot_messages_published_total", "Messages that the broker confirmed", ["type"])
UNPUBLISHED = Counter("securitybot_messages_unpublished_total", "Messages returned or refused by the broker", ["type"])
OUTBOX_SWEPT = Counter("securitybot_outbox_swept_total", "Messages published for an earlier process")
LAST_LOOP = Gauge("securitybot_last_loop_timestamp_seconds", "When the worker loop last came round", ["service"])
RESOLVED = Counter("securitybot_alerts_resolved_total", "Alerts that got their verdict", ["resolution"])
ACCEPTED = Counter("securitybot_alerts_accepted_total", "Alerts accepted", ["kind"])
CHAT_CALLS = Counter("securitybot_chat_calls_total", "Calls to the chat system", ["method", "result"])
CHAT_RETRIES = Counter("securitybot_chat_retries_total", "Calls to the chat system that are made again", ["method"])
CHAT_WAITS = Counter("securitybot_chat_rate_limit_waits_total", "Times that the chat system asked to wait", ["method"])
PUSHES = Counter("securitybot_pushes_total", "Second-factor requests by result", ["result"])
REPLIES = Counter("securitybot_replies_total", "Replies by what was done with them", ["outcome"])
READY = Gauge("securitybot_ready", "1: the check of /readyz is passed, 0: it is not", ["check"])
WAITING = Gauge("securitybot_waiting", "Rows of the record that wait, by what for", ["what"])
OLDEST_WAITING = Gauge("securitybot_oldest_waiting_seconds", "For how long the oldest of them has waited", ["what"])
API_LIMITED = Counter("securitybot_api_rate_limited_total", "Requests answered with 429", ["token"])
HISTORY_SEALED = Counter("securitybot_history_rows_sealed_total", "Rows of the history that were sealed")
