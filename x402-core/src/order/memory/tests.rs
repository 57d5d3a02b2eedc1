use super::*;

crate::store_contract!(contract, MemoryStore::new());
