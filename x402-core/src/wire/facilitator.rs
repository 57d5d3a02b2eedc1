//! Facilitator bodies.
