//! What an operator sees of the vault: whether keys that are asked for are remembered.

use opentelemetry::{KeyValue, global, metrics::Counter};

/// The look-ups of keys.
#[derive(Debug, Clone)]
pub(crate) struct Measures(Counter<u64>);

/// Where a key was found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    /// In memory.
    Remembered,
    /// Where keys come from, or nowhere.
    Fetched,
}

impl Measures {
    /// Bound to the meter provider of this moment.
    pub(crate) fn new() -> Self {
        Self(
            global::meter("vault")
                .u64_counter("eldercare.vault.keys")
                .with_unit("{key}")
                .with_description(
                    "Keys of persons that were asked for, by whether they were remembered",
                )
                .build(),
        )
    }

    pub(crate) fn found(&self, found: Found, keys: usize) {
        if keys == 0 {
            return;
        }
        let outcome = match found {
            Found::Remembered => "REMEMBERED",
            Found::Fetched => "FETCHED",
        };
        self.0
            .add(keys as u64, &[KeyValue::new("eldercare.outcome", outcome)]);
    }
}
