//! How busy the connections to a service's own database are, as operators see it.

use opentelemetry::{KeyValue, global};
use sqlx::PgPool;

/// Has each export of figures look at a pool, which bears the service's name.
pub(crate) fn watch(service: &'static str, pool: &PgPool) {
    let meter = global::meter("eldercare.postgres");
    let name = KeyValue::new("db.client.connection.pool.name", service);
    let in_state = |state: &'static str| {
        let state = KeyValue::new("db.client.connection.state", state);
        [name.clone(), state]
    };
    let (used, idle) = (in_state("used"), in_state("idle"));
    let looked_at = pool.clone();
    meter
        .i64_observable_up_down_counter("db.client.connection.count")
        .with_unit("{connection}")
        .with_description("Connections to the database, by whether they are in use")
        .with_callback(move |observer| {
            let resting = i64::try_from(looked_at.num_idle()).unwrap_or(i64::MAX);
            let working = i64::from(looked_at.size()).saturating_sub(resting);
            // Both change while they are counted.
            observer.observe(working.max(0), &used);
            observer.observe(resting, &idle);
        })
        .build();
    let most = i64::from(pool.options().get_max_connections());
    meter
        .i64_observable_up_down_counter("db.client.connection.max")
        .with_unit("{connection}")
        .with_description("The most connections that there may be")
        .with_callback(move |observer| observer.observe(most, std::slice::from_ref(&name)))
        .build();
}
