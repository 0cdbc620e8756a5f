"""A fake Slack on real sockets: Web API, Socket Mode, signed HTTP events, and people that tests move.

It refuses what Slack refuses: bad tokens, unknown channels and people, over-long texts, blocks that are not right.
"""

from tests.fakes.slack.server import FakeSlack

__all__ = ["FakeSlack"]
