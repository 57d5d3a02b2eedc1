//! Orders in Redis: [`RedisStore`].
//!
//! *Atomic steps.* Whatever belongs to one payer is in one hash slot: its orders, its own names for them, what is kept
//! with them, and the indices they are in (64 parts, so 64 slots). So each step is one script, in a cluster too. Scripts
//! compare versions and write; what an order may do is decided in `x402-core`.
//!
//! *Forgetting.* Redis forgets rows by their time to live, which is counted from the `now` a step is given and has a
//! minute on top for clocks that differ. New orders, and the worker, drop what indices still say of them.
//!
//! *Full.* With `noeviction`, which is checked, a full Redis refuses new orders and lets those that are there come to
//! their end; responses are not kept then.
//!
//! | file | what |
//! |---|---|
//! | `builder.rs`, `nodes.rs` | options, URLs |
//! | `way.rs`, `survey.rs` | connecting, and what is asked of a server then |
//! | `rows.rs`, `write.rs`, `record.rs` | rows, and how they are written |
//! | `search.rs`, `page.rs` | over all parts |
//! | `script.rs`, `*.lua` | the steps |
//! | `link/` | the connection |
//! | `trouble.rs` | what went wrong |

mod builder;
mod keys;
mod link;
mod nodes;
mod page;
mod record;
mod rows;
mod script;
mod search;
mod store;
mod survey;
mod trouble;
mod way;
mod write;

pub use self::{builder::RedisStoreBuilder, store::RedisStore};
