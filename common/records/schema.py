"""All tables together, for whoever has to see the whole: migrations, and the tests of rights."""

from __future__ import annotations

from sqlalchemy import MetaData

from common.records import console_tables, tables
from common.records.base import Base

ALL = (tables, console_tables)
"""The modules that declare tables; a table is part of the schema once its module is imported."""
SCHEMA: MetaData = Base.metadata
