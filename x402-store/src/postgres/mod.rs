//! Orders in PostgreSQL: many machines, the permanent record.
